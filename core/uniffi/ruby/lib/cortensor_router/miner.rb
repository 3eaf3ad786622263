# frozen_string_literal: true

module CortensorRouter
  # A miner that was added.
  class Miner
    include Native

    # The miner's name.
    attr_reader :name

    def initialize(name, native, workers, bridge, token)
      @name = name
      @native = native
      @workers = workers
      @bridge = bridge
      @token = token
    end

    # Stops new tasks for the miner, which finishes those that it has.
    def drain = native { @native.drain }

    # Sets how many tasks the miner takes at a time from now on.
    def capacity=(tasks)
      native { @native.set_capacity(tasks) }
      @workers.capacity = tasks
    end

    # Ends the miner. Its tasks go to other miners. Waits until its blocks have ended.
    #
    # Raises RouterTimeoutError when they had not within +timeout+ seconds.
    def remove(timeout: 10)
      native { @native.remove }
      return if leave(timeout)

      raise RouterTimeoutError.new("the miner #{name} works on although it was told to stop", code: "miner_busy")
    end

    # Ends the threads of the miner. Private.
    def leave(timeout)
      @bridge.forget(@token)
      @workers.close
      @workers.join(timeout)
    end

    def inspect = "#<#{self.class.name} #{name}>"
  end
end
