import js from '@eslint/js';

const globals = Object.fromEntries(
  ['AbortController', 'AbortSignal', 'Buffer', 'URL', 'clearTimeout', 'console', 'fetch', 'performance', 'process', 'setTimeout', 'TextDecoder'].map((name) => [name, 'readonly']),
);

export default [js.configs.recommended, { languageOptions: { ecmaVersion: 2024, sourceType: 'module', globals } }];
