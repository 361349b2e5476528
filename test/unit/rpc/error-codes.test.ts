import { describe, expect, it } from 'vitest';
import { DomainError } from '../../../src/domain/errors.ts';
import { type CodedInfo, DaemonError, InternalError, UsageError } from '../../../src/lib/errors.ts';
import { ERROR_FAMILIES, mapError, restoreError } from '../../../src/rpc/error-codes.ts';
import { RPC_ERRORS, RpcError } from '../../../src/rpc/errors.ts';

class OtherError extends DaemonError<CodedInfo & { readonly amount: bigint; readonly bytes: Uint8Array }> {
  constructor(code: string) {
    const description = { retryable: true, message: () => 'it failed', hint: () => 'try again' };
    super({ [code]: description }, { code, amount: 2n ** 64n, bytes: new Uint8Array([1, 2, 3]) });
  }
}

describe('mapError', () => {
  it('keeps what a coded error says, with data that JSON cannot hold as text', () => {
    const { error, isDefect } = mapError(new OtherError('SCHEDULER_BUSY'), 'r');
    expect(isDefect).toBe(false);
    expect(error).toEqual({
      code: -32021,
      message: 'it failed',
      data: {
        code: 'SCHEDULER_BUSY',
        info: { amount: '18446744073709551616', bytes: 'AQID' },
        hint: 'try again',
        retryable: true,
      },
    });
  });

  it.each([
    ['CHAIN_UNREACHABLE', -32024],
    ['BEACON_NOT_YET', -32025],
    ['LOCALNET_IN_USE', -32026],
  ])('knows the families of the chain: %s', (code, expected) => {
    expect(mapError(new OtherError(code), 'r').error.code).toBe(expected);
  });

  it('gives a code to families that it does not know', () => {
    expect(mapError(new OtherError('NEWFOLDER_BUSY'), 'r').error.code).toBe(-32000);
    expect(mapError(new OtherError('NOFAMILY'), 'r').error.code).toBe(-32000);
  });

  it.each([
    ['parse error', new RpcError({ code: 'RPC_PARSE_ERROR' }), -32700],
    ['bad params', new RpcError({ code: 'RPC_BAD_PARAMS', path: 'job', reason: 'no' }), -32602],
    ['usage', new UsageError('no', 'do'), -32602],
    ['abort', new DOMException('gone', 'AbortError'), -32001],
    ['bad id', new DomainError({ code: 'DOMAIN_BAD_ID', kind: 'job id', text: 'x' }), -32010],
  ])('%s', (_, thrown, code) => expect(mapError(thrown, 'r').error.code).toBe(code));

  it.each([
    ['InternalError', new InternalError('secret detail')],
    ['Error', new TypeError('secret detail')],
    ['no error at all', 'secret detail'],
  ])('tells nothing of a defect but where the log has it: %s', (_, thrown) => {
    const { error, isDefect } = mapError(thrown, 'c1-7');
    expect(isDefect).toBe(true);
    expect(error.code).toBe(-32603);
    expect(error.data.info).toEqual({ reference: 'c1-7' });
    expect(JSON.stringify(error)).not.toContain('secret detail');
  });

  it('stays within the codes that the specification leaves to servers, each for one family', () => {
    const codes = ERROR_FAMILIES.map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
    expect(codes.every((code) => (code <= -32000 && code >= -32099) || code >= -32768)).toBe(true);
  });

  it('is undone by restoreError', () => {
    for (const code of Object.keys(RPC_ERRORS)) {
      const info = { code, path: 'p', reason: 'r', job: 'j', method: 'm', max: 1 } as never;
      const thrown = new RpcError(info);
      const restored = restoreError(JSON.parse(JSON.stringify(mapError(thrown, 'r').error)) as never);
      const { code: restoredCode, message, hint, retryable, info: restoredInfo } = restored;
      expect({ restoredCode, message, hint, retryable, restoredInfo }).toEqual({
        restoredCode: code,
        message: thrown.message,
        hint: thrown.hint,
        retryable: thrown.retryable,
        restoredInfo: info,
      });
    }
  });

  it('restores errors of servers that are not ours', () => {
    const restored = restoreError({ code: -32601, message: 'Method not found' });
    expect(restored.code).toBe('RPC_REMOTE');
    expect(restored.message).toBe('Method not found');
  });
});
