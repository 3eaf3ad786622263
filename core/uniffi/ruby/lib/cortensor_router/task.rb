# frozen_string_literal: true

module CortensorRouter
  # A submitted task. It is Enumerable over its tokens.
  #
  # Leaving the loop early cancels the task: read +tokens+ where it should not. It does not where the task was submitted
  # with <tt>detach: true</tt>, or by somebody else.
  class Task
    include Enumerable
    include Native

    Event = ::CortensorRouterNative::NativeEvent
    private_constant :Event

    # The session.
    attr_reader :session_id
    # The task's id in its session.
    attr_reader :id
    # The task's id among all sessions.
    attr_reader :gid

    def initialize(message, bridge, owned:)
      @native = message.task
      @bridge = bridge
      @session_id = message.session_id
      @id = message.task_id
      @gid = message.gid
      @joined = message.joined
      @owned = owned && !@joined
    end

    # Whether an idempotency key led to a task that existed already.
    def joined? = @joined

    # The task's present record.
    def record = Record.parse(@bridge.call { |token| @native.record(token) })

    # Waits for the end and gives the answer, any number of times. After +timeout+ seconds it raises, and the task goes
    # on.
    def result(timeout: nil)
      Completion.parse(@bridge.call(timeout: timeout, cancels: true) { |token| @native.result(token) })
    end

    # Waits for the end and gives the answer's text.
    def text(timeout: nil) = @bridge.call(timeout: timeout, cancels: true) { |token| @native.text_of_answer(token) }

    # Gives the tokens as they come. Leaving the loop early cancels the task.
    def each(&block)
      return enum_for(:each) unless block

      over = false
      begin
        read(0, -> { over = true }, &block)
        over = true
      ensure
        cancel if !over && @owned
      end
      self
    end

    # The tokens after that number. Leaving this loop early cancels nothing.
    def tokens(after: 0, &block)
      return enum_for(:tokens, after: after) unless block

      read(after, -> {}, &block)
      self
    end

    # The tokens after that number with their numbers (Token), restarts (Restart), and the end (End). An end without an
    # answer raises what there is in its place.
    def events(after: 0, &block)
      return enum_for(:events, after: after) unless block

      batches(after) do |event|
        case event
        when Event::TOKENS then event.texts.each_with_index { |text, index| yield Token.new(event.seq + index, text) }
        when Event::RESTART then yield Restart.new(event.seq)
        when Event::COMPLETED then yield End.new(Completion.parse(event.completion))
        else raise RouterError.of(event.error)
        end
      end
      self
    end

    # Cancels the task, even if other callers wait for it.
    def cancel
      native { @native.cancel }
      self
    end

    # Detaches the task: from now on, no caller that leaves cancels it.
    def detach
      native { @native.detach }
      @owned = false
      self
    end

    # Lets go of the task, which cancels it unless somebody else holds it or it is detached. A task that ends by itself
    # need not be released.
    def release
      @native.release
      nil
    end

    def inspect = "#<#{self.class.name} #{id} of session #{session_id}>"

    private

    # Calls +void+ before it raises because the task begins again, which goes on then.
    def read(after, void)
      spoke = after.positive?
      batches(after) do |event|
        case event
        when Event::TOKENS
          spoke = true
          event.texts.each { |text| yield text }
        when Event::RESTART
          if spoke
            void.call
            message = "another miner starts over, and what was read is void: read task.events to go on"
            raise MinerFailedError.new(message, code: "stream_restarted")
          end
        when Event::FAILED then raise RouterError.of(event.error)
        end
      end
    end

    def batches(after)
      stream = native { @native.stream(after) }
      begin
        while (batch = @bridge.ready { |token| stream.take(token) })
          batch.each { |event| yield event }
        end
      ensure
        stream.release
      end
    end
  end
end
