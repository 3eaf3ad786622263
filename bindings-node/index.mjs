// The same module as for `require`, so that there is one router, one error class and one queue in a process.
import api from './index.cjs';

export const { Handler, Job, Listener, Miner, MinerClient, Router, RouterError, Session, Task, runMiner, version } = api;
export default api;
