/** Suites that others published against a local validator, and how they are run, unchanged. */
export interface Suite {
  readonly name: string;
  /** `name` of the package.json of the checkout. */
  readonly packageName: string;
  readonly specs: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Cases that ask for what a local chain without validators has not, by full title. */
  readonly notApplicable: Readonly<Record<string, string>>;
}

const NO_VALIDATORS = 'nobody validates, votes or stakes on a local chain';
const TOKEN_2022 = 'TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb';

/** As `npm run test:live` and `npm run test:e2e-native`, `test:e2e-2022` of those repositories do. */
export const SUITES: readonly Suite[] = [
  {
    name: '@solana/web3.js live',
    packageName: '@solana/web3.js',
    specs: ['./test/**/*.test.ts'],
    environment: { TEST_LIVE: '1', NODE_ENV: 'test' },
    timeoutMs: 2_000,
    notApplicable: {
      'Connection get inflation': 'the local chain pays no inflation and says so',
      'Connection get vote accounts': NO_VALIDATORS,
      'Connection stake activation should return activating for new accounts': NO_VALIDATORS,
      'StakeProgram live staking actions': NO_VALIDATORS,
      'Connection https request': 'asks api.mainnet-beta.solana.com',
    },
  },
  {
    name: '@solana/spl-token e2e, SPL Token',
    packageName: '@solana/spl-token',
    specs: ['test/e2e/*.test.ts'],
    environment: {},
    timeoutMs: 5_000,
    notApplicable: {},
  },
  {
    name: '@solana/spl-token e2e, Token-2022',
    packageName: '@solana/spl-token',
    specs: ['test/e2e/*.test.ts', 'test/e2e-2022/*.test.ts'],
    environment: { TEST_PROGRAM_ID: TOKEN_2022 },
    timeoutMs: 5_000,
    notApplicable: {
      'transferHook transferChecked': 'calls an example program that the repository compiles first',
    },
  },
];
