# frozen_string_literal: true

module CortensorRouter
  # A job in the hands of a miner. Any thread may answer it, once, at any later time.
  class Job
    include Native

    Emit = ::CortensorRouterNative::NativeEmit
    private_constant :Emit

    def initialize(native, bridge)
      @native = native
      @bridge = bridge
      @given = false
    end

    # The whole text that the model is to read.
    def prompt = @prompt ||= native { @native.prompt }

    # The job's record: +gid+, +session_id+, +task_id+, +model+, +stream+, +deadline_ms+, +partial+ and others.
    def info = @info ||= Record.parse(native { @native.info })

    # The caller's request as a hash: +"messages"+, +"max_tokens"+, +"temperature"+ ...
    def request = info.to_h["request"]

    # The model that the caller named, or nil.
    def model = info.to_h["model"]

    # The task's id among all sessions.
    def gid = info.to_h["gid"]

    # The session.
    def session_id = info.to_h["session_id"]

    # The task's id in its session.
    def task_id = info.to_h["task_id"]

    # Whether the work is no longer wanted, or was answered.
    def cancelled? = @native.is_cancelled

    # Whether the job was answered.
    def answered? = @native.is_answered

    # Gives the next piece of the answer: a text, or a hash with +reasoning+, +tool_calls+ and +text+. Bytes (a string
    # in the encoding ASCII-8BIT) may end in the middle of a character. It waits while the reader is slow, and raises
    # JobCancelled if nobody wants the answer any more. Gives the job, so that pieces can be chained.
    def <<(piece)
      heed(give(piece))
      self
    end

    # Gives the next piece and does not wait for a slow reader. false: the answer is no longer wanted, stop.
    def emit(piece)
      said = give(piece)
      said != Emit::CANCELLED && said != Emit::ANSWERED
    end

    # Gives several texts that the miner has at once, then waits while the reader is slow. Raises as << does.
    def emit_each(pieces)
      @given = true
      heed(native { @native.emit_each(pieces.to_a) })
      self
    end

    # Ends the work. If pieces were emitted, they are the text; usage that is not given is estimated. The options are
    # +reasoning+, +tool_calls+, +finish_reason+, +usage+, +model+ and +embedding+.
    def finish(text = nil, **answer)
      answer = { text: text }.merge(answer).compact
      @bridge.here { @native.finish(answer.empty? ? "" : Request.text("answer", answer)) }
    end

    # Ends the work with a failure; the codes are those of JobError.
    def fail(code, message) = @bridge.here { @native.fail(code.to_s, message.to_s) }

    # Gives the job back: another miner is tried, and this one is not blamed.
    def reject(reason) = @bridge.here { @native.reject(reason.to_s) }

    # Waits until the work is no longer wanted. false: after +timeout+ seconds, or when the job was answered.
    def wait_cancelled(timeout: nil)
      @bridge.call(timeout: timeout) { |token| @native.on_cancelled(token) }
      cancelled? && !answered?
    rescue RouterTimeoutError
      false
    end

    # Calls the block, on a thread of its own, once the work is no longer wanted.
    def on_cancel(&block)
      token = @bridge.handle do |_|
        @bridge.forget(token)
        Thread.new { Thread.handle_interrupt(Object => :immediate, &block) } if cancelled? && !answered?
      end
      native { @native.on_cancelled(token) }
      self
    end

    def inspect = "#<#{self.class.name} gid=#{gid} model=#{model.inspect}>"

    # Ends the job with the result of the miner's block. Private.
    def settle(result)
      return if answered?
      # A block that gave pieces ends with anything, such as the value of its loop.
      return finish if @given || result.nil? || result.equal?(self)

      case result
      when String then finish(result)
      when Hash then finish(**result.transform_keys(&:to_sym))
      when Array then pour(result)
      else
        unless result.respond_to?(:each)
          raise TypeError, "a miner gives a text, a hash (text, tool_calls, embedding, usage ...) or pieces, " \
                           "not #{result.class}"
        end
        result.each { |piece| self << piece }
        # Pieces that are none are an empty text; a block without a result forgot to give one.
        finish("")
      end
    end

    # Releases the job: if it was not answered, it has failed. Private.
    def release = @native.release

    private

    def give(piece)
      @given = true
      case piece
      when String
        native { piece.encoding == Encoding::BINARY ? @native.emit_bytes(piece) : @native.emit(piece) }
      when Hash then native { @native.emit_parts(Request.text("piece", piece)) }
      else raise TypeError, "a piece is a text, bytes or a hash, not #{piece.class}"
      end
    end

    # Gives pieces that are all there.
    def pour(pieces)
      pieces.chunk_while { |one, other| text?(one) && text?(other) }.each do |run|
        text?(run.first) ? run.each_slice(256) { |some| emit_each(some) } : self << run.first
      end
      finish("")
    end

    def text?(piece) = piece.is_a?(String) && piece.encoding != Encoding::BINARY

    # Waits while the reader is slow.
    def heed(said)
      case said
      when Emit::FULL then wait_writable
      when Emit::CANCELLED, Emit::ANSWERED then raise JobCancelled
      end
    end

    def wait_writable
      @bridge.call { |token| @native.on_writable(token) }
      raise JobCancelled if cancelled?
    rescue ClosedError
      # The program ends.
      raise JobCancelled
    end
  end
end
