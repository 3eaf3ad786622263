// The same module as for `require`, so that there is one router, one error class and one queue in a process.
import api from './index.cjs';

export const { Handler, Job, Listener, Miner, Router, RouterError, Session, Task, version } = api;
export default api;
