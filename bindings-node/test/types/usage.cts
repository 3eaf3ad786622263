// Uses the package by `require`.

import router = require('cortensor-router');

const open: router.Router = new router.Router({ name: 'x' });
open.miner('a', (job: router.Job) => job.prompt);
void open.submit('x').then((task: router.Task) => task.result());
const failed = (error: unknown): boolean => error instanceof router.RouterError && error.kind === 'closed';

export = { failed, open };
