import type { PeerKey } from '../../domain/ids.ts';
import { NetworkError } from '../errors.ts';
import type { HandlerContext, ProtocolMessages, ProtocolName, RequestHandler } from '../interface.ts';
import type { CallWait } from './call-wait.ts';

type Response<Name extends ProtocolName> = ProtocolMessages[Name]['response'];

interface LocalCall<Name extends ProtocolName> {
  readonly protocol: Name;
  readonly peer: PeerKey;
  readonly handler: RequestHandler<Name> | undefined;
  readonly request: ProtocolMessages[Name]['request'];
}

function start<Name extends ProtocolName>(call: LocalCall<Name>, signal: AbortSignal): AsyncIterator<Response<Name>> {
  const { handler, peer, protocol } = call;
  if (handler === undefined) {
    throw new NetworkError({ code: 'NETWORK_REMOTE_ERROR', peer, protocol, remoteCode: 'NETWORK_NO_HANDLER' });
  }
  const context: HandlerContext = { peer, signal };
  return handler(call.request, context)[Symbol.asyncIterator]();
}

/** A request to the own node: through the same handler, without a socket. */
export async function requestLocally<Name extends ProtocolName>(
  call: LocalCall<Name>,
  wait: CallWait,
): Promise<Response<Name>> {
  const controller = new AbortController();
  try {
    const first = await wait.race(start(call, controller.signal).next());
    if (first.done !== true) return first.value;
    throw new NetworkError({ code: 'NETWORK_NO_RESPONSE', protocol: call.protocol });
  } finally {
    controller.abort();
  }
}

/** The same with a stream of responses; the handler is as far ahead as its own buffers let it. */
export async function* streamLocally<Name extends ProtocolName>(
  call: LocalCall<Name>,
  wait: CallWait,
): AsyncGenerator<Response<Name>> {
  const controller = new AbortController();
  const iterator = start(call, controller.signal);
  try {
    for (;;) {
      const step = await wait.race(iterator.next());
      wait.disarm();
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    controller.abort();
    // A handler that is in the middle of a step ends after it; nobody waits for that.
    iterator.return?.().catch(() => undefined);
  }
}
