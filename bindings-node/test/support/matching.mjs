// Whether an outcome is what a scenario expects; see core/tests/conformance/README.md.

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

const WORDS = {
  $any: (value) => value !== null && value !== undefined,
  $number: (value) => typeof value === 'number',
  $text: (value) => typeof value === 'string' && value !== '',
  $absent: (value) => value === null || value === undefined,
};

/** Where and why `actual` is not what is expected; `undefined` when it matches. */
export function mismatch(expected, actual, path = '') {
  const wrong = `${path}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`;
  if (typeof expected === 'string' && expected.startsWith('$')) return WORDS[expected]?.(actual) ? undefined : wrong;
  if (isObject(expected)) {
    if (typeof expected.$contains === 'string') {
      return typeof actual === 'string' && actual.includes(expected.$contains) ? undefined : wrong;
    }
    if (!isObject(actual)) return wrong;
    return first(Object.entries(expected), ([name, member]) => mismatch(member, actual[name] ?? null, `${path}.${name}`));
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) return wrong;
    return first(expected.entries(), ([index, item]) => mismatch(item, actual[index], `${path}[${index}]`));
  }
  return expected === actual ? undefined : wrong;
}

function first(items, look) {
  for (const item of items) {
    const found = look(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
