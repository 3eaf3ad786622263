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

process.exit(native.command(['cortensor-router', ...process.argv.slice(2)]));
