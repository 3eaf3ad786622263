// Exports the module that `require` gives, so that a process has one router, one error class and one queue.
import api from './index.cjs';

export const { Handler, Job, Listener, Miner, MinerClient, Router, RouterError, Session, Task, llama, runMiner, version } = api;
export default api;
