import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeAccount, matchesFilters } from '../../../src/localnet/rpc/encode-account.ts';
import { encodeTokenAmount } from '../../../src/localnet/rpc/encode-token.ts';
import { stringifyJson } from '../../../src/localnet/rpc/json.ts';
import { answer } from '../../../src/localnet/rpc/json-rpc.ts';
import { METHODS } from '../../../src/localnet/rpc/methods/methods.ts';
import { parseAccount } from '../../../src/localnet/rpc/parse-account.ts';
import { parseInstruction } from '../../../src/localnet/rpc/parse-instruction.ts';
import { isAllowedHost, isAllowedOrigin, isHostName } from '../../../src/localnet/server/host-check.ts';
import type { AccountState } from '../../../src/localnet/svm/interface.ts';
import {
  ASSOCIATED_TOKEN_PROGRAM,
  MEMO_PROGRAM,
  SYSTEM_PROGRAM,
  SYSVAR_CLOCK,
  SYSVAR_OWNER,
  TOKEN_2022_PROGRAM,
  TOKEN_PROGRAM,
  UPGRADEABLE_LOADER,
} from '../../../src/localnet/svm/program-ids.ts';
import { describeTransactionError } from '../../../src/localnet/svm/transaction-error.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';

describe('JSON', () => {
  it('holds 64-bit integers whole', () => {
    expect(stringifyJson({ a: 2n ** 64n - 1n, b: [0n], c: 'x' })).toBe('{"a":18446744073709551615,"b":[0],"c":"x"}');
  });

  it('of any kind is answered with JSON', async () => {
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .record({ jsonrpc: fc.constant('2.0'), id: fc.jsonValue(), method: fc.string() })
        .map((one) => JSON.stringify(one)),
    );
    await fc.assert(
      fc.asyncProperty(text, async (asked) => {
        const answered = await answer(asked, async () => 1, new NoopLogger());
        if (answered !== undefined) expect(() => JSON.parse(answered) as unknown).not.toThrow();
      }),
    );
  });

  it('says that something broke without saying more to strangers than its message', async () => {
    const answered = await answer(
      '{"jsonrpc":"2.0","id":1,"method":"x"}',
      () => Promise.reject(new TypeError('oops')),
      new NoopLogger(),
    );
    expect(JSON.parse(answered ?? '')).toEqual({
      jsonrpc: '2.0',
      id: 1,
      error: { code: -32603, message: 'Internal error: oops' },
    });
  });
});

describe('errors', () => {
  it.each([
    ['BlockhashNotFound', 'Blockhash not found'],
    [
      { InstructionError: [3, { Custom: 6_000 }] as const },
      'Error processing Instruction 3: custom program error: 0x1770',
    ],
    [
      { InstructionError: [0, 'MissingRequiredSignature'] as const },
      'Error processing Instruction 0: missing required signature for instruction',
    ],
    [
      { InsufficientFundsForRent: { account_index: 2 } },
      'Transaction results in an account (2) with insufficient funds for rent',
    ],
    [{ DuplicateInstruction: 1 }, 'Transaction contains a duplicate instruction (1) that is not allowed'],
  ])('%j is written as a node writes it', (error, text) => {
    expect(describeTransactionError(error)).toBe(text);
  });
});

describe('token amounts', () => {
  it.each([
    [0n, 9, '0'],
    [1n, 9, '0.000000001'],
    [1_500_000_000n, 9, '1.5'],
    [100n, 0, '100'],
    [100n, 2, '1'],
    [2n ** 64n - 1n, 6, '18446744073709.551615'],
  ])('%d with %d decimals is %s', (amount, decimals, text) => {
    expect(encodeTokenAmount(amount, decimals)).toMatchObject({
      amount: String(amount),
      decimals,
      uiAmountString: text,
    });
  });
});

describe('what programs hold and are told', () => {
  const programs = [
    SYSTEM_PROGRAM,
    TOKEN_PROGRAM,
    TOKEN_2022_PROGRAM,
    UPGRADEABLE_LOADER,
    'AddressLookupTab1e1111111111111111111111111',
  ];

  it('is shown or left as bytes, never an error', () => {
    const sizes = fc.constantFrom(0, 3, 36, 37, 45, 56, 80, 82, 88, 165, 166, 170, 355);
    const data = sizes.chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));
    fc.assert(
      fc.property(fc.constantFrom(...programs), data, (owner, bytes) => {
        const state: AccountState = { lamports: 1n, owner, data: bytes, executable: false, rentEpoch: 0n };
        parseAccount('address', state, () => state);
        const encoded = encodeAccount('address', state, {
          config: { encoding: 'jsonParsed', dataSlice: undefined },
          read: () => undefined,
        });
        expect(encoded.space).toBe(bytes.length);
      }),
      { numRuns: 1_000 },
    );
  });

  it('is named for instructions, or left as bytes', () => {
    const called = fc.constantFrom(
      SYSTEM_PROGRAM,
      TOKEN_PROGRAM,
      TOKEN_2022_PROGRAM,
      ASSOCIATED_TOKEN_PROGRAM,
      MEMO_PROGRAM,
    );
    fc.assert(
      fc.property(
        called,
        fc.array(fc.string(), { maxLength: 8 }),
        fc.uint8Array({ maxLength: 80 }),
        (programId, accounts, data) => {
          const parsed = parseInstruction({ programId, accounts, data });
          if (parsed !== undefined) expect(parsed.program).toMatch(/^(system|spl-)/);
        },
      ),
      { numRuns: 2_000 },
    );
    expect(
      parseInstruction({ programId: MEMO_PROGRAM, accounts: [], data: Uint8Array.of(0xff, 0xfe) }),
    ).toBeUndefined();
  });

  it('shows the clock', () => {
    const state: AccountState = {
      lamports: 1n,
      owner: SYSVAR_OWNER,
      data: new Uint8Array(40).fill(1, 0, 1),
      executable: false,
      rentEpoch: 0n,
    };
    expect(parseAccount(SYSVAR_CLOCK, state, () => undefined)).toMatchObject({
      program: 'sysvar',
      parsed: { type: 'clock', info: { slot: 1n } },
    });
  });
});

describe('filters', () => {
  const state: AccountState = {
    lamports: 1n,
    owner: 'x',
    data: Uint8Array.of(1, 2, 3),
    executable: false,
    rentEpoch: 0n,
  };

  it.each([
    [[], true],
    [[{ dataSize: 3 }], true],
    [[{ dataSize: 2 }], false],
    [[{ memcmp: { offset: 1, bytes: Uint8Array.of(2, 3) } }], true],
    [[{ memcmp: { offset: 2, bytes: Uint8Array.of(3, 4) } }], false],
    [[{ memcmp: { offset: 3, bytes: new Uint8Array() } }], true],
    [[{ memcmp: { offset: 4, bytes: new Uint8Array() } }], false],
    [[{ dataSize: 3 }, { memcmp: { offset: 0, bytes: Uint8Array.of(9) } }], false],
  ])('%j', (filters, isMatch) => {
    expect(matchesFilters(state, filters)).toBe(isMatch);
  });
});

describe('who may ask', () => {
  it.each([
    [undefined, false],
    ['', false],
    ['localhost', true],
    ['LOCALHOST:8899', true],
    ['10.1.2.3:80', true],
    ['[fe80::1]:8899', true],
    ['evil.example', false],
    ['localhost.evil.example', false],
    ['127.0.0.1.evil.example:8899', false],
    ['evil.example:8899@127.0.0.1', false],
    ['127.0.0.1 evil', false],
    ['box.example', true],
  ])('host %s: %s', (host, isAllowed) => {
    expect(isAllowedHost(host, ['Box.example'])).toBe(isAllowed);
  });

  it.each(['box', 'Box.example', 'a-b.c_d.example', 'box.example.', '192.0.2.1', 'xn--bcher-kva.example'])(
    'the name %s is one that a client can send',
    (name) => {
      expect(isHostName(name)).toBe(true);
      expect(isAllowedHost(`${name}:8899`, [name])).toBe(true);
    },
  );

  it.each(['', '.', 'http://x/', 'x:1', 'x/', 'a..b', '-a', 'a b', 'bücher.example', 'a'.repeat(254)])(
    'the name %s is none',
    (name) => {
      expect(isHostName(name)).toBe(false);
    },
  );

  it.each([
    [undefined, true],
    ['http://localhost:3000', true],
    ['http://127.0.0.1', true],
    ['http://[::1]:3000', true],
    ['null', false],
    ['https://evil.example', false],
    ['http://127.evil.example', false],
    ['https://box.example', true],
  ])('origin %s: %s', (origin, isAllowed) => {
    expect(isAllowedOrigin(origin, ['box.example'])).toBe(isAllowed);
  });
});

describe('methods', () => {
  it('include all that @solana/web3.js 1.x calls', async () => {
    const { readFile } = await import('node:fs/promises');
    const { createRequire } = await import('node:module');
    const source = await readFile(createRequire(import.meta.url).resolve('@solana/web3.js'), 'utf8');
    const called = new Set([...source.matchAll(/_rpcRequest\('(\w+)'/g)].map(([, method = '']) => method));
    expect(called.size).toBeGreaterThan(40);
    // Stake is not run here, and validators dropped the method in version 2.0.
    expect([...called].filter((method) => !METHODS.has(method))).toEqual(['getStakeActivation']);
  });
});
