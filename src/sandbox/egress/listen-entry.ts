/** Runs in the network namespace of a sandbox: listens there, hands the socket to the node, and ends. */
import { createServer } from 'node:net';
import { EGRESS_PROXY_HOST, EGRESS_PROXY_PORT } from './constants.ts';

const server = createServer();
server.listen({ host: EGRESS_PROXY_HOST, port: EGRESS_PROXY_PORT }, () => {
  process.send?.('listening', server, {}, () => {
    // As long as this process lived, it would accept connections as well.
    server.close();
    process.disconnect();
  });
});
