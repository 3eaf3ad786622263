# frozen_string_literal: true

module CortensorRouter
  # The threads on which the block of one miner runs, one for each job at a time. Private.
  class Workers
    def initialize(name, capacity, manual:, &block)
      raise ArgumentError, "a miner needs a block that takes a job" unless block

      @name = name
      @capacity = capacity || 1
      @manual = manual
      @block = block
      @jobs = Thread::Queue.new
      @lock = Mutex.new
      @threads = []
    end

    # Takes a job. It does not wait.
    def offer(native, bridge)
      @jobs << [native, bridge]
      add if @jobs.size > @jobs.num_waiting
    rescue ClosedQueueError
      bridge.here { native.reject("the miner was removed") }
    end

    attr_writer :capacity

    # Takes no more jobs; those that no thread has begun go back.
    def close
      @jobs.close
      until @jobs.empty?
        native, bridge = @jobs.pop
        bridge&.here { native.reject("the miner was removed") }
      end
    rescue RouterError
      # It was over anyway.
      retry
    end

    # Waits until the blocks that run have ended. false: one had not within +timeout+ seconds.
    def join(timeout)
      deadline = timeout && (Process.clock_gettime(Process::CLOCK_MONOTONIC) + timeout)
      threads = @lock.synchronize { @threads.dup } - [Thread.current]
      threads.all? do |thread|
        left = deadline && [deadline - Process.clock_gettime(Process::CLOCK_MONOTONIC), 0].max
        thread.join(left)
      end
    end

    private

    def add
      @lock.synchronize do
        return if @threads.size >= @capacity

        # A new thread would take over that nothing may interrupt it.
        thread = Thread.new { Thread.handle_interrupt(Object => :immediate) { run } }
        thread.name = "#{@name}-#{@threads.size + 1}"
        thread.report_on_exception = false
        @threads << thread
      end
    rescue ThreadError => error
      # The system gives no more threads: the present ones do the work.
      raise if @threads.empty?

      warn_of(error)
    end

    def run
      while (native, bridge = @jobs.pop)
        work(Job.new(native, bridge))
      end
    ensure
      @lock.synchronize { @threads.delete(Thread.current) }
    end

    def work(job)
      result = @block.call(job)
      job.settle(result) unless @manual
    rescue JobCancelled
      ended(job, "cancelled", "the miner stopped")
    rescue JobError => error
      ended(job, error.code, error.message)
    rescue RouterError => error
      # The router has failed a job without an answer with this message already.
      warn_of(error) unless job.answered? && error.code != "no_answer"
      ended(job, "internal", error.message)
    rescue Exception => error # rubocop:disable Lint/RescueException - whatever it is, the caller gets to know
      warn_of(error)
      ended(job, "internal", "#{error.class}: #{error.message}")
    ensure
      job.release unless @manual
    end

    def ended(job, code, message)
      job.fail(code, message) unless job.answered?
    rescue InvalidArgumentError
      # There is no such code.
      job.fail("internal", message)
    rescue RouterError
      # It was answered meanwhile.
    end

    def warn_of(error)
      said = error.full_message(highlight: false)
      CortensorRouter.logger&.warn("cortensor_router") { "the miner #{@name} raised #{said}" }
    end
  end
  private_constant :Workers
end
