package network.cortensor.java;

/** Does the work of tasks. */
@FunctionalInterface
public interface Miner {
    /**
     * Works on a job. The method is called on a thread of its own for each job, as many at once as the miner's capacity.
     *
     * <p>If it returns, the job is finished with the pieces that it emitted, unless the miner answered it or called
     * {@link Job#later}. If it throws, the job has failed, and the router tries another miner.
     *
     * @param job the job
     * @throws Exception whatever went wrong; a {@link JobException} says how the job failed
     */
    void work(Job job) throws Exception;
}
