// Runs where a sandboxed child runs and tries to get out. Writes one JSON object to descriptor 3: what each attempt gave.
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';

const FRAME_FD = 3;
const request = JSON.parse(fs.readFileSync(0, 'utf8'));
const results = {};

async function attempt(name, escape) {
  try {
    results[name] = `ESCAPED: ${String(await escape()).slice(0, 200)}`;
  } catch (error) {
    results[name] = `denied: ${error.code ?? error.name}`;
  }
}

const connect = (options) =>
  new Promise((resolve, reject) => {
    const socket = net.connect(options, () => resolve('connected'));
    socket.on('error', reject);
  });
const first = (promise) =>
  Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(Object.assign(new Error(), { code: 'TIMEOUT' })), 3000))]);

// files
await attempt('read /etc/passwd', () => fs.readFileSync('/etc/passwd', 'utf8'));
await attempt('read a file of the host', () => fs.readFileSync(request.secretFile, 'utf8'));
await attempt('list /', () => fs.readdirSync('/').filter((name) => ['etc', 'home', 'root', 'var'].includes(name)).join() || Promise.reject(new Error('empty')));
await attempt('list the home folder', () => fs.readdirSync(os.homedir()).join());
await attempt('write a file', () => fs.writeFileSync(request.targetFile, 'x'));
await attempt('write to /tmp', () => fs.writeFileSync('/tmp/fogproof-escape', 'x'));
await attempt('write to /dev/shm', () => fs.writeFileSync('/dev/shm/fogproof-escape', 'x'));
await attempt('overwrite its own program', () => fs.appendFileSync(process.argv[1], 'x'));
await attempt('follow a symbolic link', () => {
  fs.symlinkSync('/etc/passwd', '/tmp/fogproof-link');
  return fs.readFileSync('/tmp/fogproof-link', 'utf8');
});
await attempt('load a native addon', () => process.dlopen({ exports: {} }, request.secretFile));

// sockets
await attempt('connect to TCP of the host', () => first(connect({ host: '127.0.0.1', port: request.port })));
await attempt('connect to a Unix socket of the host', () => first(connect({ path: request.socketPath })));
await attempt('connect to an abstract socket of the host', () => first(connect({ path: `\0${request.abstractName}` })));
await attempt('listen where the host can connect', () =>
  new Promise((resolve, reject) => {
    const server = net.createServer().on('error', reject);
    server.listen(0, '0.0.0.0', () => {
      const addresses = Object.values(os.networkInterfaces()).flat();
      server.close();
      if (addresses.length === 0) reject(Object.assign(new Error(), { code: 'NO_INTERFACE' }));
      else resolve(addresses.map((entry) => entry.address).join());
    });
  }),
);

// child processes and threads
await attempt('spawn a program', async () => {
  const { spawnSync } = await import('node:child_process');
  const { error, status } = spawnSync(process.execPath, ['--version']);
  if (error) throw error;
  return status;
});
await attempt('start a worker', async () => {
  const { Worker } = await import('node:worker_threads');
  return await new Promise((resolve, reject) => {
    const worker = new Worker('0', { eval: true });
    worker.on('error', reject);
    worker.on('online', () => resolve('online'));
  });
});
await attempt('use node:wasi', async () => {
  const { WASI } = await import('node:wasi');
  return new WASI({ version: 'preview1', preopens: { '/': '/' } });
});
await attempt('make code from text', () => new Function('return 1')());

// environment; bubblewrap itself sets PWD to /
await attempt('see the environment', () => Object.entries(process.env).filter(([name]) => name !== 'PWD').join() || Promise.reject(Object.assign(new Error(), { code: 'EMPTY' })));

// /proc
await attempt('read its environment in /proc', () => fs.readFileSync('/proc/self/environ', 'utf8').replace(/^PWD=\/\0$/, '') || Promise.reject(Object.assign(new Error(), { code: 'EMPTY' })));
await attempt('read the environment of the node', () => fs.readFileSync(`/proc/${request.parentPid}/environ`, 'utf8'));
await attempt('open the memory of the node', () => fs.openSync(`/proc/${request.parentPid}/mem`, 'r+'));
await attempt('see other processes', () => fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid).join() || Promise.reject(Object.assign(new Error(), { code: 'NONE' })));
await attempt('signal the node', () => process.kill(request.parentPid, 0));
await attempt('list the devices', () => fs.readdirSync('/dev').join());
await attempt('change the kernel', () => fs.writeFileSync('/proc/sys/kernel/hostname', os.hostname()));

fs.writeSync(FRAME_FD, JSON.stringify(results));
process.exit(0);
