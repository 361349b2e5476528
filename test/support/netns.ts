import { type ChildProcess, execFileSync, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import type { Need } from './needs.ts';

/** Whose namespaces they are; the id of the process that made them and a number follow. */
const PREFIX = 'fogproof-';
/** Where `ip netns` keeps their names. */
const FOLDER = '/run/netns';

/** Seconds of silence, by doubling waits from 0.2 s, after which the kernel gives a connection up; 15 minutes by default. */
const TCP_RETRIES = 4;

/** Classic BPF for `tc` (direct action; net/sched/cls_bpf.c): 0 passes a packet, 2 drops it. Offsets include Ethernet's 14 bytes. */
const FILTERS = {
  /** TCP that begins: SYN without ACK, as in RFC 9293 section 3.1. */
  newConnections: '10,40 0 0 12,21 0 6 2048,48 0 0 23,21 0 4 6,177 0 0 14,80 0 0 27,84 0 0 18,21 1 0 2,6 0 0 0,6 0 0 2',
  /** A share of all packets, by the kernel's random number. */
  lossOf: (share: number): string => `4,32 0 0 4294963256,53 0 1 ${Math.round(share * 0xffff_ffff)},6 0 0 0,6 0 0 2`,
} as const;

function tries(program: string, ...line: readonly string[]): boolean {
  return spawnSync(program, line, { stdio: 'ignore' }).status === 0;
}

function findUnmet(): Pick<Need, 'kind' | 'reason'> | null {
  if (!tries('ip', '-V')) return { kind: 'host', reason: 'the command `ip`; run scripts/setup' };
  const probe = `${PREFIX}${process.pid}-probe`;
  const isMade = tries('ip', 'netns', 'add', probe);
  const isUsable =
    isMade &&
    tries('ip', '-n', probe, 'link', 'add', 'name', 'veth0', 'type', 'veth', 'peer', 'name', 'veth1') &&
    tries('ip', '-n', probe, 'link', 'add', 'name', 'bridge0', 'type', 'bridge') &&
    tries('ip', 'netns', 'exec', probe, 'true');
  if (isMade) tries('ip', 'netns', 'del', probe);
  return isUsable ? null : { kind: 'permission', reason: 'network namespaces with veth and bridges, as root' };
}

const unmet = findUnmet();

/** Hosts with addresses of their own on one machine. */
export const NETWORK_NAMESPACES: Need = { isMet: unmet === null, kind: 'permission', reason: '', ...unmet };

function canFilter(): boolean {
  const probe = `${PREFIX}${process.pid}-probe`;
  if (unmet !== null || !tries('ip', 'netns', 'add', probe)) return false;
  try {
    const run = (...line: readonly string[]) => tries('ip', 'netns', 'exec', probe, 'tc', ...line);
    return run('qdisc', 'add', 'dev', 'lo', 'clsact') && run(...describeFilter('lo', FILTERS.lossOf(0)));
  } finally {
    tries('ip', 'netns', 'del', probe);
  }
}

function describeFilter(device: string, bytecode: string): readonly string[] {
  return ['filter', 'add', 'dev', device, 'ingress', 'protocol', 'all', 'bpf', 'da', 'bytecode', bytecode];
}

/** Packets dropped by the kernel: neither netem nor a firewall's tools are needed. */
export const PACKET_FILTERS: Need = {
  isMet: canFilter(),
  kind: NETWORK_NAMESPACES.kind,
  reason: NETWORK_NAMESPACES.reason || '`tc` with clsact and bpf',
};

const nat = tries('nft', '--version') ? 'nft' : tries('iptables', '--version') ? 'iptables' : null;

function canMasquerade(): boolean {
  const probe = `${PREFIX}${process.pid}-probe`;
  if (unmet !== null || nat === null || !tries('ip', 'netns', 'add', probe)) return false;
  try {
    return describeMasquerade('lo').every((line) => tries('ip', 'netns', 'exec', probe, ...line));
  } finally {
    tries('ip', 'netns', 'del', probe);
  }
}

function describeMasquerade(device: string): readonly (readonly string[])[] {
  if (nat === 'iptables') return [['iptables', '-t', 'nat', '-A', 'POSTROUTING', '-o', device, '-j', 'MASQUERADE']];
  return [
    ['nft', 'add table ip nat'],
    ['nft', 'add chain ip nat out { type nat hook postrouting priority 100 ; }'],
    ['nft', `add rule ip nat out oifname ${device} masquerade`],
  ];
}

export const ADDRESS_TRANSLATION: Need = {
  isMet: canMasquerade(),
  kind: NETWORK_NAMESPACES.kind,
  reason: NETWORK_NAMESPACES.reason || '`nft` or `iptables`, with masquerading; run scripts/setup',
};

export interface NamespaceHost {
  readonly namespace: string;
  readonly address: string;
  /** Its own interface. */
  readonly device: string;
}

export interface HostGroup {
  /** First three numbers of the /24 that its hosts are in, such as `45.0.1`. */
  readonly network: string;
  readonly hosts: number;
}

/**
 * Networks of hosts behind one router, each host and the router a network namespace. Disposing ends what runs there and
 * removes all of it; what a killed process left behind is removed by the next one that opens a topology.
 */
export class Topology implements AsyncDisposable {
  readonly #name: string;
  readonly #router: string;
  readonly #groups: readonly HostGroup[];
  readonly #hosts = new Map<string, readonly NamespaceHost[]>();
  readonly #namespaces: string[] = [];
  readonly #processes = new Set<ChildProcess>();
  readonly #onExit = (): void => this.#removeAll();
  #cuts: readonly string[] = [];
  static #count = 0;

  private constructor(groups: readonly HostGroup[]) {
    this.#name = `${PREFIX}${process.pid}-${Topology.#count++}`;
    this.#router = `${this.#name}-router`;
    this.#groups = groups;
  }

  static open(groups: readonly HostGroup[]): Topology {
    sweep();
    const topology = new Topology(groups);
    process.once('exit', topology.#onExit);
    try {
      topology.#build();
    } catch (error) {
      topology.#close();
      throw error;
    }
    return topology;
  }

  hosts(network: string): readonly NamespaceHost[] {
    return this.#hosts.get(network) ?? [];
  }

  /** Runs a program on a host; it ends with the topology. */
  spawn(host: NamespaceHost, command: readonly [string, ...string[]], options: SpawnOptions): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', host.namespace, ...command], options);
    this.#processes.add(child);
    child.once('exit', () => this.#processes.delete(child));
    return child;
  }

  /** Packets between the two sides vanish at the router, without a word to either. */
  partition(left: readonly string[], right: readonly string[]): void {
    const index = (network: string) => this.#groups.findIndex((group) => group.network === network);
    const rules = (from: readonly string[], to: readonly string[]) =>
      from.flatMap((source) => to.map((target) => `iif group${index(source)} to ${target}.0/24 blackhole`));
    this.heal();
    this.#cuts = [...rules(left, right), ...rules(right, left)];
    batch(
      this.#router,
      this.#cuts.map((rule) => `rule add ${rule}`),
    );
  }

  heal(): void {
    batch(
      this.#router,
      this.#cuts.map((rule) => `rule del ${rule}`),
    );
    this.#cuts = [];
  }

  /** The cable is pulled, or put back; with it goes the route. */
  setLink(host: NamespaceHost, state: 'up' | 'down'): void {
    const routes = state === 'up' ? [`route replace default via ${gatewayOf(host.address)}`] : [];
    batch(host.namespace, [`link set dev ${host.device} ${state}`, ...routes]);
  }

  /** Of the packets that come to a host this share is lost. */
  loseInbound(host: NamespaceHost, share: number): void {
    this.#filter(host, FILTERS.lossOf(share));
  }

  /** As a firewall or a router without port forwarding: nobody outside opens a connection to the host. */
  refuseInbound(host: NamespaceHost): void {
    this.#filter(host, FILTERS.newConnections);
  }

  #filter({ namespace, device }: NamespaceHost, bytecode: string): void {
    // What was filtered before goes with it.
    tries('ip', 'netns', 'exec', namespace, 'tc', 'qdisc', 'del', 'dev', device, 'clsact');
    inside(namespace, ['tc', 'qdisc', 'add', 'dev', device, 'clsact']);
    inside(namespace, ['tc', ...describeFilter(device, bytecode)]);
  }

  /** A host with a private address behind a router that has one of the group's addresses and translates. */
  addTranslated(network: string): { readonly host: NamespaceHost; readonly router: NamespaceHost } {
    const index = this.#groups.findIndex((group) => group.network === network);
    const router = this.#addHost(index, 200);
    const namespace = this.#add(`${this.#name}-inner`);
    const host = { namespace, address: '192.168.7.2', device: 'eth0' };
    batch(router.namespace, [
      `link add name lan0 type veth peer name eth0 netns ${namespace}`,
      'addr add 192.168.7.1/24 dev lan0',
      'link set dev lan0 up',
    ]);
    configureHost(host);
    forward(router.namespace);
    for (const line of describeMasquerade(router.device)) inside(router.namespace, line);
    return { host, router };
  }

  /** Whether a TCP connection from one host to an address opens within half a second. */
  canConnect({ namespace }: NamespaceHost, address: string, port: number): boolean {
    const open = ['timeout', '0.5', 'bash', '-c', `exec 3<> /dev/tcp/${address}/${port}`];
    return tries('ip', 'netns', 'exec', namespace, ...open);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = [...this.#processes].map(onceExited);
    for (const child of this.#processes) child.kill('SIGKILL');
    await Promise.all(ended);
    this.#close();
  }

  #build(): void {
    this.#add(this.#router);
    forward(this.#router);
    for (const [index, { network, hosts }] of this.#groups.entries()) {
      batch(this.#router, [
        `link add name group${index} type bridge`,
        `addr add ${network}.1/24 dev group${index}`,
        `link set dev group${index} up`,
      ]);
      const members = Array.from({ length: hosts }, (_, host) => this.#addHost(index, host + 10));
      this.#hosts.set(network, members);
    }
  }

  #addHost(group: number, last: number): NamespaceHost {
    const network = this.#groups[group]?.network ?? '';
    const namespace = this.#add(`${this.#name}-${group}-${last}`);
    const host = { namespace, address: `${network}.${last}`, device: 'eth0' };
    const port = `g${group}h${last}`;
    batch(this.#router, [
      `link add name ${port} type veth peer name eth0 netns ${namespace}`,
      `link set dev ${port} master group${group}`,
      `link set dev ${port} up`,
    ]);
    configureHost(host);
    return host;
  }

  #add(namespace: string): string {
    execFileSync('ip', ['netns', 'add', namespace], { stdio: 'pipe' });
    this.#namespaces.push(namespace);
    return namespace;
  }

  #close(): void {
    process.removeListener('exit', this.#onExit);
    this.#removeAll();
  }

  #removeAll(): void {
    for (const child of this.#processes) child.kill('SIGKILL');
    for (const namespace of this.#namespaces.splice(0)) remove(namespace);
  }
}

function onceExited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

function configureHost({ namespace, address, device }: NamespaceHost): void {
  batch(namespace, [
    'link set dev lo up',
    `addr add ${address}/24 dev ${device}`,
    `link set dev ${device} up`,
    `route add default via ${gatewayOf(address)}`,
  ]);
  inside(namespace, ['sh', '-c', `echo ${TCP_RETRIES} > /proc/sys/net/ipv4/tcp_retries2`]);
}

function gatewayOf(address: string): string {
  return `${address.split('.').slice(0, 3).join('.')}.1`;
}

function forward(namespace: string): void {
  inside(namespace, ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
}

function inside(namespace: string, line: readonly string[]): void {
  execFileSync('ip', ['netns', 'exec', namespace, ...line], { stdio: 'pipe' });
}

function batch(namespace: string, lines: readonly string[]): void {
  if (lines.length === 0) return;
  execFileSync('ip', ['-n', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n`, stdio: 'pipe' });
}

function remove(namespace: string): void {
  const pids = spawnSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' }).stdout ?? '';
  for (const pid of pids.split('\n').filter((text) => text !== '')) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended in the meantime.
    }
  }
  spawnSync('ip', ['netns', 'del', namespace], { stdio: 'ignore' });
}

/** Removes what belongs to processes that are gone. */
function sweep(): void {
  const names = existsSync(FOLDER) ? readdirSync(FOLDER) : [];
  for (const name of names) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) remove(name);
  }
}
