# frozen_string_literal: true

module CortensorRouter
  # The way from the router's threads to Ruby. Private.
  #
  # No thread of the router ever enters Ruby. Answers, jobs and log records lie in a mailbox, each with the number under
  # which Ruby waits for it. One thread of Ruby waits for a descriptor that tells of them. A call that was answered at
  # once empties the mailbox itself, without that thread.
  class Bridge
    include Native

    # One answer that is waited for. Threads and fibers of a scheduler wait alike.
    class Wait
      def initialize
        @mutex = Mutex.new
        @ready = ConditionVariable.new
        @done = false
      end

      def put(value)
        @mutex.synchronize do
          @value = value
          @done = true
          @ready.signal
        end
      end

      # Waits for the answer. Gives whether it came before +deadline+, and the answer.
      def take(deadline)
        @mutex.synchronize do
          until @done
            left = deadline && (deadline - Bridge.now)
            return [false, nil] if left && left <= 0

            @ready.wait(@mutex, left)
          end
          [true, @value]
        end
      end
    end

    LOCK = Mutex.new
    private_constant :LOCK

    class << self
      # The bridge of this process. A forked child makes its own.
      def current
        bridge = @current
        return bridge if bridge && bridge.pid == Process.pid

        LOCK.synchronize do
          at_exit { @current&.leave } unless @current
          @current = new unless @current && @current.pid == Process.pid
          @current
        end
      end

      def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

      # Converts seconds to the router's milliseconds. nil is for ever.
      def milliseconds(timeout)
        return nil if timeout.nil?
        unless timeout.is_a?(Numeric) && timeout.real? && timeout >= 0 && (timeout.is_a?(Integer) || timeout.finite?)
          message = "timeout must be seconds, 0 or more, or nil to wait for ever"
          raise InvalidArgumentError.new(message, param: "timeout")
        end

        (timeout * 1000).ceil
      end
    end

    attr_reader :pid, :mailbox

    def initialize
      @pid = Process.pid
      @mailbox = native { ::CortensorRouterNative::NativeMailbox.new }
      @socket = IO.for_fd(native { @mailbox.descriptor }, "rb")
      @lock = Mutex.new
      @taking = Mutex.new
      @next = 0
      @waits = {}
      @handlers = {}
      @open = {}
      @over = false
      @again = false
      @thread = Thread.new { Thread.handle_interrupt(Object => :immediate) { run } }
      @thread.name = "cortensor-router"
    end

    # Makes a call that is answered by a message, and waits for the answer. The block gets the number of the call. If
    # the wait is interrupted, a call that only waits is cancelled.
    def call(timeout: nil, cancels: false)
      deadline = timeout && (Bridge.now + (Bridge.milliseconds(timeout) / 1000.0))
      token, wait = expect
      answered = false
      begin
        # Between the call and the emptying of the mailbox nothing may interrupt: nobody else was woken for it.
        Thread.handle_interrupt(Object => :never) do
          take if native { yield token } == true
        end
        answered, value = wait.take(deadline)
      ensure
        @lock.synchronize { @waits.delete(token) } unless answered
        withdraw(token) if cancels && !answered
      end
      unless answered
        raise RouterTimeoutError.new("there was no answer within the time: what was asked for goes on, and can be " \
                                     "waited for again", code: "wait_timeout")
      end
      raise value if value.is_a?(Exception)

      value
    end

    # Gives what the block gives. While that is an empty list, waits for the message that the block's number was given
    # for.
    def ready
      loop do
        token, wait = expect
        begin
          given = native { yield token }
          return given unless given&.empty?

          wait.take(nil)
        ensure
          @lock.synchronize { @waits.delete(token) }
        end
      end
    end

    # A number for messages that come again and again, to the block.
    def handle(&handler)
      @lock.synchronize do
        token = @next += 1
        @handlers[token] = handler
        token
      end
    end

    # Ends a number of +handle+.
    def forget(token)
      @lock.synchronize { @handlers.delete(token) }
    end

    # Makes a native call that may have put messages into the mailbox for this thread.
    def here
      Thread.handle_interrupt(Object => :never) { take if native { yield } == true }
    end

    # Remembers something that must be closed before the program ends.
    def opened(thing)
      @lock.synchronize { @open[thing.object_id] = thing }
    end

    def closed(thing)
      @lock.synchronize { @open.delete(thing.object_id) }
    end

    # Whether the program ends, and nothing is answered any more.
    def over? = @lock.synchronize { @over }

    # Closes what is still open when the program ends. Whoever waits then, or calls later, gets a ClosedError.
    def leave
      return unless @pid == Process.pid

      @lock.synchronize { @open.values }.each do |thing|
        thing.close(timeout: 5, workers: false)
      rescue RouterError
        # It is not waited for any longer.
      end
      waits = @lock.synchronize do
        @over = true
        @waits.values.tap { @waits.clear }
      end
      waits.each { |wait| wait.put(ended) }
      @mailbox.end
    end

    private

    def expect
      wait = Wait.new
      token = @lock.synchronize do
        raise ended if @over

        number = @next += 1
        @waits[number] = wait
        number
      end
      [token, wait]
    end

    def ended = ClosedError.new("the program ends, and its routers were closed")

    def withdraw(token)
      here { @mailbox.cancel(token) }
    rescue RouterError
      # In a forked child there is nothing to cancel.
    end

    def run
      loop do
        @socket.wait_readable
        # The end of the file is the end of the mailbox.
        break if @socket.read_nonblock(64, exception: false).nil?

        take
      end
    rescue IOError, ClosedError
      # The mailbox was closed with the program.
    end

    # Takes all messages. Only one thread does so at a time, so that jobs and log records stay in order. The delivery of
    # a message may cause further ones, which come after the present ones.
    def take
      return @again = true if @taking.owned?

      @taking.synchronize do
        loop do
          @again = false
          @mailbox.take.each { |message| deliver(message) }
          break unless @again
        end
      end
    end

    def deliver(message)
      token = message.token
      wait, handler = @lock.synchronize { [@waits.delete(token), @handlers[token]] }
      if wait
        wait.put(value_of(message))
      elsif handler
        handler.call(message)
      else
        undelivered(message)
      end
    rescue StandardError => error
      # One message must not end the delivery of the others.
      failed(message, wait, error)
    end

    def failed(message, wait, error)
      wait&.put(error)
      undelivered(message)
      said = error.full_message(highlight: false)
      CortensorRouter.logger&.warn("cortensor_router") { "a message was not delivered: #{said}" }
    rescue StandardError
      # A log that fails must not end the delivery either.
    end

    # Releases what came for a caller that waits no more.
    def undelivered(message)
      case message
      when Message::TASK then message.task.release
      when Message::JOB then message.job.release
      when Message::RESPONSE then message.response.release
      end
    rescue ::CortensorRouterNative::NativeError::Refused
      # It was over anyway.
    end

    Message = ::CortensorRouterNative::NativeMessage
    private_constant :Message

    def value_of(message)
      case message
      when Message::TEXT then message.text
      when Message::DONE then true
      when Message::FAILED then RouterError.of(message.error)
      when Message::FLAG then message.value
      when Message::ROUTER then message.router
      when Message::LISTENER then message.listener
      when Message::HANDLER then message.handler
      when Message::PIECE then message.bytes
      else message
      end
    end
  end
  private_constant :Bridge
end
