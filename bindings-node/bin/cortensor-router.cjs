#!/usr/bin/env node
'use strict';

// Runs the command `cortensor-router`. It handles signals itself, and this process does nothing else.
let native;
try {
  native = require('../lib/native.cjs').load();
} catch (error) {
  console.error(`cortensor-router: ${error.message}`);
  process.exit(1);
}

// Node's own handler ends the process by raising the signal once more, for ever where another handler was put before it, as the
// command does. A listener here, which is never called while the command runs, puts a harmless one in its place.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

process.exit(native.command(['cortensor-router', ...process.argv.slice(2)]));
