// The miners of the conformance scenarios; see core/tests/conformance/README.md.

/** The function that plays a behaviour; `seen` counts. */
export function play({ behaviour, with: settings = {} }, seen) {
  return BEHAVIOURS[behaviour](settings, seen);
}

const bytesOrText = (piece) => (typeof piece === 'string' ? piece : Uint8Array.from(piece.bytes));

const BEHAVIOURS = {
  words: (_, seen) =>
    function* (job) {
      seen.jobs += 1;
      yield* words(job);
    },
  pieces: ({ pieces, answer }, seen) =>
    async function* () {
      seen.jobs += 1;
      yield* pieces.map(bytesOrText);
      return answer;
    },
  whole: ({ answer }, seen) => {
    return () => {
      seen.jobs += 1;
      return answer;
    };
  },
  hold: ({ pieces = [] }, seen) =>
    async function (job, { signal }) {
      seen.jobs += 1;
      for (const piece of pieces) await job.emit(bytesOrText(piece));
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
      seen.cancelled += 1;
    },
  fail: ({ code, message, pieces = [] }, seen) =>
    async function* () {
      seen.jobs += 1;
      yield* pieces.map(bytesOrText);
      throw Object.assign(new Error(message), { code });
    },
  flaky: ({ times, code }, seen) =>
    function* (job) {
      seen.jobs += 1;
      if (seen.jobs <= times) throw Object.assign(new Error('not this time'), { code });
      yield* words(job);
    },
  reject: ({ reason }, seen) => {
    return (job) => {
      seen.jobs += 1;
      job.reject(reason);
    };
  },
  parts: ({ parts, answer }, seen) =>
    async function* () {
      seen.jobs += 1;
      yield* parts;
      return answer;
    },
  silent: (_, seen) => {
    return () => {
      seen.jobs += 1;
    };
  },
  drop: (_, seen) => {
    return (job) => {
      seen.jobs += 1;
      job.drop();
    };
  },
};

function* words(job) {
  yield* job.prompt.split(/(?<= )/);
}
