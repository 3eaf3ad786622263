# frozen_string_literal: true

require "logger"

module CortensorRouter
  # Passes the router's log records on to a Logger, on a thread of its own. Private.
  class Log
    SEVERITIES = { "error" => Logger::ERROR, "warn" => Logger::WARN, "info" => Logger::INFO }.freeze

    def initialize(logger, bridge)
      @logger = logger
      @bridge = bridge
      @records = Thread::Queue.new
      @token = bridge.handle { |message| @records << message unless @records.closed? }
      @thread = Thread.new { Thread.handle_interrupt(Object => :immediate) { run } }
      @thread.name = "cortensor-router-log"
    end

    attr_reader :token

    # Passes on what has come, and nothing more.
    def close(timeout)
      @bridge.forget(@token)
      @records.close
      @thread.join(timeout) unless @thread == Thread.current
    end

    private

    def run
      while (record = @records.pop)
        write(record)
      end
    end

    def write(record)
      severity = SEVERITIES.fetch(record.level, Logger::DEBUG)
      @logger.add(severity, record.message, record.target)
    rescue StandardError
      # A log that fails must not end the log.
    end
  end
  private_constant :Log
end
