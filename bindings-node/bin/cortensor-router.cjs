#!/usr/bin/env node
'use strict';

// The same command as the binary. It handles signals itself, and this process does nothing else.
const native = require('../native/loader.cjs');

process.exitCode = native.command(['cortensor-router', ...process.argv.slice(2)]);
