# frozen_string_literal: true

module CortensorRouter
  # An error of the router: a refusal or a failure. Each kind has a class of its own.
  class RouterError < StandardError
    # The kind of the error, by the same word in every language.
    KIND = "internal"
    # Whether the same call may succeed later, unchanged.
    RETRYABLE = false

    # The finest code of the error: one below the kind (+no_miner+), or the kind.
    attr_reader :code
    # The field or argument at fault, where one is.
    attr_reader :param
    # Milliseconds after which a retry may succeed.
    attr_reader :retry_after_ms
    # The session that the error is about.
    attr_reader :session_id
    # The task that the error is about; it can be polled.
    attr_reader :task_id

    def initialize(message = nil, code: nil, param: nil, retry_after_ms: nil, session_id: nil, task_id: nil)
      super(message || kind)
      @code = code || kind
      @param = param
      @retry_after_ms = retry_after_ms
      @session_id = session_id
      @task_id = task_id
    end

    # The kind of the error.
    def kind = self.class::KIND

    # Whether the same call may succeed later, unchanged.
    def retryable? = self.class::RETRYABLE

    # The known details beside the message; unknown ones are absent.
    def details
      { param: @param, retry_after_ms: @retry_after_ms, session_id: @session_id, task_id: @task_id }.compact
    end

    # Makes the exception for an error from its JSON.
    def self.of(text)
      record = JSON.parse(text)
      known = record.slice("code", "param", "retry_after_ms", "session_id", "task_id").transform_keys(&:to_sym)
      KINDS.fetch(record["kind"], RouterError).new(record["message"], **known)
    end
  end

  # An error that a miner raises to give its failure a code: +overloaded+, +internal+ ...
  #
  #   raise CortensorRouter::JobError.new("overloaded", "the GPU is out of memory")
  class JobError < StandardError
    # The reason for the failure, in one word.
    attr_reader :code

    def initialize(code, message)
      super(message)
      @code = code
    end
  end

  # Raised in a miner when it gives a piece that nobody wants any more. A miner need not rescue it: the block ends, and
  # the job with it.
  class JobCancelled < StandardError
    def initialize(message = "the answer is no longer wanted") = super
  end
end
