# frozen_string_literal: true

module CortensorRouter
  # A listener that serves until it is stopped or its router is closed.
  class Listener
    # The address on which it listens.
    attr_reader :host
    # Its port.
    attr_reader :port
    # Every open surface and how it is protected, a line each.
    attr_reader :posture

    def initialize(native, bridge)
      @native = native
      @bridge = bridge
      @host = native.host
      @port = native.port
      @posture = native.posture
    end

    # +http://127.0.0.1:5010+
    def url = host.include?(":") ? "http://[#{host}]:#{port}" : "http://#{host}:#{port}"

    # Takes no new connections and waits for running requests, at most for +listen.drain_timeout_ms+.
    def stop
      @bridge.call { |token| @native.stop(token) }
      nil
    end

    # Waits until the listener has ended, for any reason. Raises after +timeout+ seconds.
    def ended(timeout: nil)
      @bridge.call(timeout: timeout, cancels: true) { |token| @native.ended(token) }
      nil
    end

    def inspect = "#<#{self.class.name} #{url}>"
  end
end
