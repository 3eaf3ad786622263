import js from '@eslint/js';

const names = [
  'AbortController', 'AbortSignal', 'Buffer', 'DOMException', 'EventSource', 'Headers', 'ReadableStream', 'Request', 'Response', 'TextDecoder', 'TextDecoderStream', 'TextEncoder',
  'URL', 'WeakRef', 'clearInterval', 'clearTimeout', 'console', 'fetch', 'performance', 'process', 'setImmediate', 'setInterval', 'setTimeout',
];
const common = ['__dirname', 'exports', 'module', 'require'];
// The console uses these names of a browser. Storage and timers that repeat are left out on purpose, but for the theme.
const browser = [
  'AbortController', 'Element', 'HTMLElement', 'Intl', 'Node', 'ResizeObserver', 'TextDecoderStream', 'URL', 'addEventListener', 'cancelAnimationFrame', 'clearTimeout', 'document', 'fetch',
  'location', 'navigator', 'performance', 'removeEventListener', 'requestAnimationFrame', 'scrollTo', 'setTimeout',
];
const page = 'core/src/listener/console/assets/*.js';
const globals = (more = []) => Object.fromEntries([...names, ...more].map((name) => [name, 'readonly']));
// A name that begins with an underscore is there for its place alone.
const rules = { 'no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }] };
/** Ways to make markup or code of a text. */
const markup = ['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'srcdoc', 'write', 'writeln', 'createContextualFragment', 'parseFromString'];

export default [
  { ignores: ['**/native/loader.cjs', '**/node_modules/**', '**/*.ts'] },
  js.configs.recommended,
  { files: ['**/*.mjs'], languageOptions: { ecmaVersion: 2024, sourceType: 'module', globals: globals() }, rules },
  { files: ['**/*.cjs'], languageOptions: { ecmaVersion: 2024, sourceType: 'commonjs', globals: globals(common) }, rules },
  {
    files: [page],
    languageOptions: { ecmaVersion: 2024, sourceType: 'module', globals: Object.fromEntries(browser.map((name) => [name, 'readonly'])) },
    rules: {
      ...rules,
      'no-control-regex': 'off',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-new-func': 'error',
      'no-restricted-properties': ['error', ...markup.map((property) => ({ property, message: 'The console shows every text as text: use h() of dom.js.' }))],
      'no-restricted-globals': ['error', 'sessionStorage', 'localStorage', 'indexedDB', 'EventSource'],
    },
  },
  { files: ['core/src/listener/console/assets/theme.js'], languageOptions: { globals: { localStorage: 'readonly' } }, rules: { 'no-restricted-globals': 'off' } },
];
