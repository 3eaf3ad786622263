import js from '@eslint/js';

const names = [
  'AbortController', 'AbortSignal', 'Buffer', 'DOMException', 'EventSource', 'Headers', 'ReadableStream', 'Request', 'Response', 'TextDecoder', 'TextDecoderStream', 'TextEncoder',
  'URL', 'WeakRef', 'clearInterval', 'clearTimeout', 'console', 'fetch', 'performance', 'process', 'setImmediate', 'setInterval', 'setTimeout',
];
const common = ['__dirname', 'exports', 'module', 'require'];
const globals = (more = []) => Object.fromEntries([...names, ...more].map((name) => [name, 'readonly']));
// A name that begins with an underscore is there for its place alone.
const rules = { 'no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }] };

export default [
  { ignores: ['**/native/loader.cjs', '**/node_modules/**', '**/*.ts'] },
  js.configs.recommended,
  { files: ['**/*.mjs'], languageOptions: { ecmaVersion: 2024, sourceType: 'module', globals: globals() }, rules },
  { files: ['**/*.cjs'], languageOptions: { ecmaVersion: 2024, sourceType: 'commonjs', globals: globals(common) }, rules },
];
