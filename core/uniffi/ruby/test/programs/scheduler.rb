# frozen_string_literal: true

# Calls that wait under a Fiber scheduler let other fibers run.
require "cortensor_router"

# A small scheduler: fibers that are blocked, and those that may go on.
class Scheduler
  def initialize
    @ready = []
    @lock = Mutex.new
    # Fibers that are blocked. A scheduler must hold them: Ruby 3.1 collects them otherwise.
    @blocked = {}.compare_by_identity
    @waiting = {}.compare_by_identity
    @reader, @writer = IO.pipe
  end

  def run
    until @blocked.empty? && @ready.empty? && @waiting.empty?
      ready = @lock.synchronize { @ready.tap { @ready = [] } }
      ready.each do |fiber|
        @waiting.delete(fiber)
        fiber.resume if fiber.alive?
      end
      next unless ready.empty?

      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      due = @waiting.select { |_, time| time <= now }.keys
      due.each { |fiber| @waiting.delete(fiber) }
      due.each(&:resume)
      next unless due.empty?

      soonest = @waiting.values.min
      @reader.read_nonblock(64, exception: false) if IO.select([@reader], nil, nil, soonest && [soonest - now, 0].max)
    end
  end
  alias close run

  def block(_blocker, timeout = nil)
    if timeout
      @waiting[Fiber.current] = Process.clock_gettime(Process::CLOCK_MONOTONIC) + timeout
      Fiber.yield
      return true
    end
    @blocked[Fiber.current] = true
    Fiber.yield
    @blocked.delete(Fiber.current)
    true
  end

  def unblock(_blocker, fiber)
    @lock.synchronize do
      @ready << fiber
    end
    @writer.write_nonblock(".", exception: false)
  end

  def kernel_sleep(duration = nil) = block(:sleep, duration)

  def io_wait(io, events, timeout)
    IO.select(events & IO::READABLE != 0 ? [io] : nil, events & IO::WRITABLE != 0 ? [io] : nil, nil, timeout)
    events
  end

  def fiber(&block)
    fiber = Fiber.new(blocking: false, &block)
    fiber.resume
    fiber
  end
end

CortensorRouter::Router.open do |router|
  jobs = Thread::Queue.new
  router.miner("held", capacity: 100, manual: true) { |job| jobs << job }
  answers = []
  turns = 0
  Thread.new do
    Fiber.set_scheduler(Scheduler.new)
    100.times { |index| Fiber.schedule { answers << router.complete(index.to_s).text } }
    Fiber.schedule do
      task = router.submit("streamed")
      answers << task.to_a.join
    end
    Fiber.schedule do
      # All fibers wait now, and this one runs.
      until jobs.size >= 100
        sleep(0.001)
        turns += 1
      end
      answer = Thread.new { 101.times { jobs.pop.then { |job| job.finish(job.prompt) } } }
      answer.join
    end
  end.join
  puts answers.size, answers.uniq.size, turns.positive?
end
