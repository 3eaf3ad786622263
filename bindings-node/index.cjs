'use strict';

const { native } = require('./lib/bridge.cjs');
const { MinerClient, runMiner } = require('./lib/client.cjs');
const { RouterError } = require('./lib/error.cjs');
const { Handler } = require('./lib/http.cjs');
const { Job } = require('./lib/job.cjs');
const { Listener } = require('./lib/listener.cjs');
const { llama } = require('./lib/llama.cjs');
const { Miner } = require('./lib/miner.cjs');
const { Router } = require('./lib/router.cjs');
const { Session } = require('./lib/session.cjs');
const { Task } = require('./lib/task.cjs');

module.exports.Handler = Handler;
module.exports.Job = Job;
module.exports.Listener = Listener;
module.exports.Miner = Miner;
module.exports.MinerClient = MinerClient;
module.exports.Router = Router;
module.exports.RouterError = RouterError;
module.exports.Session = Session;
module.exports.Task = Task;
module.exports.llama = llama;
module.exports.runMiner = runMiner;
module.exports.version = native.version();
