import { defineConfig } from 'oxlint';
import { computeLayerOverrides } from './scripts/layers.ts';

const layerOverrides = computeLayerOverrides().map(({ files, patterns }) => ({
  files,
  rules: { 'no-restricted-imports': ['error', { patterns }] as ['error', { patterns: typeof patterns }] },
}));

const CONSOLE_OWNERS = ['src/cli/**', 'src/main.ts', 'scripts/**', 'bench/**', 'test/**'];

const config = defineConfig({
  // Plain JavaScript that runs inside the sandbox and attacks it.
  ignorePatterns: ['test/integration/sandbox/programs/*.mjs'],
  plugins: ['eslint', 'typescript', 'import', 'unicorn', 'promise'],
  categories: { correctness: 'error' },
  rules: {
    eqeqeq: 'error',
    'no-var': 'error',
    'prefer-const': 'error',
    'no-console': 'error',
    'no-empty': ['error', { allowEmptyCatch: false }],
    'max-lines': ['error', { max: 400, skipBlankLines: false, skipComments: false }],
    'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
    // Three positional parameters, and the options ({ signal }) that stand last.
    'max-params': ['error', { max: 4 }],
    'import/no-cycle': ['error', { ignoreTypes: true }],
    'import/no-default-export': 'error',
    'unicorn/no-process-exit': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-non-null-assertion': 'error',
    'typescript/no-namespace': 'error',
    'typescript/ban-ts-comment': 'error',
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': ['error', { checksVoidReturn: { attributes: false } }],
    'typescript/await-thenable': 'error',
    'typescript/only-throw-error': 'error',
    'typescript/prefer-promise-reject-errors': 'error',
    'typescript/no-unsafe-assignment': 'error',
    'typescript/no-unsafe-call': 'error',
    'typescript/no-unsafe-member-access': 'error',
    'typescript/no-unsafe-return': 'error',
    'typescript/no-unsafe-argument': 'error',
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'unicorn/no-new-array': 'off',
    // Text over bytes is meant where it stands; the rule knows only the default toString.
    'typescript/restrict-template-expressions': 'off',
  },
  overrides: [
    ...layerOverrides,
    { files: CONSOLE_OWNERS, rules: { 'no-console': 'off' } },
    {
      files: ['test/**'],
      plugins: ['eslint', 'typescript', 'import', 'unicorn', 'promise', 'vitest'],
      rules: {
        'max-lines-per-function': 'off',
        'max-lines': ['error', { max: 600 }],
        // `expect.any` and the like are of type any.
        'typescript/no-unsafe-assignment': 'off',
        // What JSON.parse gives goes into an assertion.
        'typescript/no-unsafe-return': 'off',
        // A generated program returns by throwing.
        'typescript/only-throw-error': 'off',
        'typescript/unbound-method': 'off',
        // Bytes of a module in groups, and an `if` of a generated program.
        'unicorn/no-useless-spread': 'off',
        'unicorn/no-thenable': 'off',
        // Assertions live in fast-check properties and helpers as well; vitest's expect takes a message.
        'vitest/expect-expect': 'off',
        'vitest/valid-expect': 'off',
        'vitest/no-conditional-expect': 'off',
        'vitest/require-to-throw-message': 'off',
        'vitest/no-conditional-tests': 'off',
        'vitest/no-focused-tests': 'error',
        'vitest/no-restricted-vi-methods': [
          'error',
          { mock: 'Module mocking is forbidden: a seam is missing (style guide, section 8).', doMock: null },
        ],
      },
    },
    // The parameters of host functions are those of WASI and of the fogproof ABI.
    { files: ['src/wasm/runtime/**'], rules: { 'max-params': 'off' } },
    { files: ['src/chain/generated/**'], rules: { 'max-lines': 'off' } },
    { files: ['oxlint.config.ts', 'vitest.config.ts'], rules: { 'import/no-default-export': 'off' } },
  ],
});

export default config;
