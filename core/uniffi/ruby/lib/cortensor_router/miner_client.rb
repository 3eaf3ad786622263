# frozen_string_literal: true

module CortensorRouter
  # A miner of this program that works for a distant router. It reconnects if the connection breaks, and loses no
  # finished answer.
  #
  #   CortensorRouter::MinerClient.open("wss://router.example", name: "gpu-1", token: ENV["CORTENSOR_TOKEN"]) do |job|
  #     my_model(job.prompt)
  #   end
  class MinerClient
    include Native

    # Starts the miner, whose block is as in Router#miner. The settings are those of a miner that dials in: +models+,
    # +capacity+, +token+ ...
    def self.open(routers, name:, manual: false, logger: CortensorRouter.logger, **settings, &block)
      config = { routers: Array(routers), name: name }.merge(settings)
      workers = Workers.new(name, settings[:capacity], manual: manual, &block)
      new(name, Request.fields("config", config), workers, logger)
    end

    private_class_method :new

    def initialize(name, config, workers, logger)
      @name = name
      @bridge = bridge = Bridge.current
      @workers = workers
      @log = logger && Log.new(logger, @bridge)
      @token = @bridge.handle { |message| workers.offer(message.job, bridge) }
      @native = native do
        ::CortensorRouterNative::NativeMinerClient.start(@bridge.mailbox, @token, config, @log&.token || 0)
      end
      @bridge.opened(self)
    rescue StandardError
      @bridge&.forget(@token) if @token
      @log&.close(0)
      raise
    end

    # The miner's name.
    attr_reader :name

    # The miner's counts and the state of its connection.
    def stats = Record.parse(native { @native.stats })

    # Sets how many tasks the miner takes at a time from now on.
    def capacity=(tasks)
      native { @native.set_capacity(tasks) }
      @workers.capacity = tasks
    end

    # Takes no new tasks and finishes the present ones; true: the router has all answers.
    def drain(timeout) = @bridge.call { |token| @native.drain(token, Bridge.milliseconds(timeout)) }

    # Ends the miner's connection and cancels its work.
    def close(timeout: 10, workers: true)
      # The end of the program has closed it already.
      return if @bridge.over?

      @bridge.call { |token| @native.shutdown(token, Bridge.milliseconds(timeout)) }
      @bridge.closed(self)
      @bridge.forget(@token)
      @workers.close
      @workers.join(timeout) if workers
      @log&.close(1)
      nil
    end

    def inspect = "#<#{self.class.name} #{name}>"
  end
end
