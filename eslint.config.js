import { relative, sep } from 'node:path';
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';
import { arrowProblem } from './deploy/scripts/arrows.mjs';

/** The import fence, see deploy/scripts/arrows.mjs. */
const fence = {
  meta: { type: 'problem', schema: [], docs: { description: 'imports follow actors ← engine ← gateway' } },
  create(context) {
    const file = relative(context.cwd, context.filename).split(sep).join('/');
    const check = (source, typeOnly) => {
      if (typeof source?.value !== 'string') return;
      const problem = arrowProblem(file, source.value, typeOnly);
      if (problem) context.report({ node: source, message: problem });
    };
    return {
      ImportDeclaration: (node) => check(node.source, node.importKind === 'type'),
      ExportNamedDeclaration: (node) => check(node.source, node.exportKind === 'type'),
      ExportAllDeclaration: (node) => check(node.source, node.exportKind === 'type'),
      ImportExpression: (node) => check(node.source, false),
      TSImportType: (node) => check(node.source ?? node.argument?.literal, true),
    };
  },
};

const sources = ['{actors,engine,gateway,deploy,dashboard}/**/*.ts', '*.ts'];
const unused = { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none', ignoreRestSiblings: true };

export default ts.config(
  {
    ignores: ['dist/**', 'node_modules/**', '.data/**', '.cache/**', 'coverage/**', 'test-results/**'],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: [...sources, 'dashboard/**/*.svelte'],
    extends: [ts.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: {
        projectService: true,
        tsconfigRootDir: import.meta.dirname,
        extraFileExtensions: ['.svelte'],
      },
    },
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', unused],
      '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: true }],
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { attributes: false } }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      // An async function without await keeps the signature of its interface.
      '@typescript-eslint/require-await': 'off',
      // Interfaces are written with methods; the objects behind them are closures more often than classes.
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
    },
  },
  {
    files: ['**/*.test.ts', '**/e2e/**/*.ts'],
    rules: {
      // Replies under test are read as they came; expect() is the check.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
    },
  },
  ...svelte.configs.recommended,
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: {
      globals: globals.browser,
      parserOptions: { parser: ts.parser, projectService: true, extraFileExtensions: ['.svelte'] },
    },
    rules: {
      // Reactive assignments look unused to a linter that does not see the template.
      'svelte/no-navigation-without-resolve': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs,ts,svelte}'],
    plugins: { gridtick: { rules: { fence } } },
    rules: {
      'gridtick/fence': 'error',
      eqeqeq: ['error', 'always'],
      'no-var': 'error',
      'prefer-const': 'error',
      'no-debugger': 'error',
      'no-eval': 'error',
      'no-implied-eval': 'off',
      'no-constant-condition': ['error', { checkLoops: false }],
      'no-async-promise-executor': 'error',
      'no-self-compare': 'error',
      'no-unreachable': 'error',
    },
  },
  {
    // A machine decides from the command and the log's time alone: no clock, no dice, nothing that runs later.
    files: ['actors/**/*.ts'],
    ignores: ['actors/**/*.test.ts', 'actors/testing/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...[
          'Promise',
          'setTimeout',
          'setInterval',
          'setImmediate',
          'queueMicrotask',
          'process',
          'performance',
          'crypto',
          'fetch',
          'globalThis',
          'console',
        ].map((name) => ({ name, message: 'an actor does no I/O, waits for nothing and knows no clock' })),
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'time comes with the command: use `now`' },
        { object: 'Math', property: 'random', message: 'randomness comes in as an argument' },
      ],
      'no-restricted-imports': [
        'error',
        {
          paths: [
            {
              name: 'xstate',
              importNames: [
                'spawn',
                'spawnChild',
                'invoke',
                'fromPromise',
                'fromCallback',
                'fromObservable',
                'fromEventObservable',
                'createActor',
                'interpret',
                'waitFor',
                'toPromise',
                'sendTo',
                'sendParent',
                'forwardTo',
              ],
              message: 'a machine is a pure reducer: the engine owns children, delays and delivery',
            },
          ],
        },
      ],
      'no-restricted-syntax': [
        'error',
        { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: 'time comes with the command' },
        { selector: 'Property[key.name=/^(invoke|spawn)$/]', message: 'machines invoke and spawn nothing' },
        { selector: ':function[async=true]', message: 'an actor decides synchronously' },
        { selector: 'AwaitExpression', message: 'an actor decides synchronously' },
        { selector: 'Literal[raw=/^[0-9][0-9_]*\\.[0-9]/]', message: 'no floats: integers in the smallest unit' },
        { selector: 'CallExpression[callee.name="parseFloat"]', message: 'no floats: integers in the smallest unit' },
      ],
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    ignores: ['dashboard/public/**'],
    languageOptions: { globals: globals.node },
    rules: { 'no-undef': 'error', 'no-unused-vars': ['error', unused] },
  },
  { files: ['dashboard/public/**/*.js'], languageOptions: { globals: globals.browser } },
);
