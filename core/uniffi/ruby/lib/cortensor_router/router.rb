# frozen_string_literal: true

module CortensorRouter
  # A router for AI inference inside this program: it owns its threads, its store and its miners.
  #
  # Calls that wait may be made on any thread. Under a Fiber scheduler they let other fibers run.
  class Router
    include Native

    # Opens a router. +config+ is the router's configuration as a hash or as JSON text; without one the store is in
    # memory. With a block, the router is closed at its end, and the block's value is given. +logger+ is a Logger.
    def self.open(config = nil, logger: CortensorRouter.logger, **settings)
      config = (config || {}).merge(settings) unless config.is_a?(String) && settings.empty?
      router = new(Request.settings("config", config.is_a?(Hash) && config.empty? ? nil : config), logger)
      return router unless block_given?

      begin
        yield router
      ensure
        router.close
      end
    end

    private_class_method :new

    def initialize(config, logger)
      @bridge = Bridge.current
      @log = logger && Log.new(logger, @bridge)
      @miners = {}
      @lock = Mutex.new
      @native = @bridge.call do |token|
        ::CortensorRouterNative.open_router(@bridge.mailbox, token, config, @log&.token || 0)
      end
      @bridge.opened(self)
    rescue StandardError
      @log&.close(0)
      raise
    end

    # Ends the router: listeners stop, running tasks are cancelled, the store is closed.
    #
    # Miners get +timeout+ seconds to stop. One that does not is left behind, and the log says which.
    def close(timeout: 10, workers: true)
      deadline = timeout && (Bridge.now + timeout)
      # The end of the program has closed it already.
      return if @bridge.over?

      @bridge.call { |token| @native.shutdown(token, Bridge.milliseconds(timeout)) }
      @bridge.closed(self)
      miners = @lock.synchronize { @miners.values.tap { @miners = {} } }
      left = miners.reject do |miner|
        miner.leave(workers ? deadline && [deadline - Bridge.now, 0].max : 0) || !workers
      end
      @log&.close(1)
      names = left.map(&:name).join(", ")
      CortensorRouter.logger&.warn("miners that did not stop when the router was closed: #{names}") unless left.empty?
      nil
    end

    # Whether the router was not closed.
    def open?
      info
      true
    rescue RouterError
      false
    end

    # The configuration with every default; without secrets.
    def config = JSON.parse(native { @native.config })

    # The router's identity and abilities.
    def info = Record.parse(native { @native.info })

    # The router's state.
    def status = Record.parse(native { @native.status })

    # All metrics in Prometheus' text format.
    def metrics = native { @native.metrics }

    # The miners, of any kind.
    def miners = Page.parse(native { @native.miners }, "miners")

    # The models that can be asked for.
    def models = Page.parse(native { @native.models }, "models")

    # The usage by +day+, +key+, +model+, +session+ or +miner+; this month where no days are given. The options are
    # +by+, +from+, +to+, +key+, +session+, +model+, +miner+, +limit+ and +offset+.
    def usage(**query)
      Page.parse(@bridge.call { |token| @native.usage(token, Request.fields("query", query)) }, "usage")
    end

    # Adds a miner of that name. The block gets a Job, on a thread of its own, and gives the answer: a text, a hash
    # (+text+, +tool_calls+, +reasoning+, +embedding+, +usage+ ...), an Enumerator of pieces; or it gives pieces with
    # <tt>job << piece</tt>.
    #
    # The options are those of a miner: +models+, +capacity+, +weight+, +owner+, +embeddings+ ... With
    # <tt>manual: true</tt> the block only takes the job, and the program answers it later, from any thread.
    def miner(name, manual: false, **options, &block)
      workers = Workers.new(name, options[:capacity], manual: manual, &block)
      bridge = @bridge
      token = bridge.handle { |message| workers.offer(message.job, bridge) }
      begin
        added = native { @native.add_miner(token, Request.fields("miner", { name: name }.merge(options))) }
      rescue RouterError
        bridge.forget(token)
        raise
      end
      miner = Miner.new(name, added, workers, bridge, token)
      @lock.synchronize { @miners[name.to_s] = miner }
      miner
    end
    alias add_miner miner

    # Adds an OpenAI-compatible server (llama.cpp, vLLM, Ollama ...). +settings+ are those of the configuration's
    # +upstreams+. Its models are asked for in the background.
    def add_upstream(url, **settings)
      native { @native.add_upstream(Request.fields("upstream", { url: url }.merge(settings))) }
    end

    # Removes a miner of any kind by its name. Its tasks go to other miners.
    def remove_miner(name)
      native { @native.remove_miner(name.to_s) }
      @lock.synchronize { @miners.delete(name.to_s) }&.leave(0)
      nil
    end

    # Makes an API key for listeners. Its token cannot be read again later.
    def create_key(name, **options)
      spec = Request.fields("key", { name: name }.merge(options))
      Record.parse(@bridge.call { |token| @native.create_key(token, spec) })
    end

    # The API keys, without their tokens.
    def keys = Page.parse(@bridge.call { |token| @native.keys(token) }, "keys")

    # Revokes an API key: listeners refuse it from now on and end its open requests.
    def delete_key(id)
      @bridge.call { |token| @native.delete_key(token, id) }
      nil
    end

    # Opens a session: tasks of one session share its model, limits and weight.
    def create_session(name, **options)
      spec = Request.session(name, options)
      Session.new(self, Record.parse(@bridge.call { |token| @native.create_session(token, spec) }))
    end

    # An existing session.
    def session(id) = Session.new(self, Record.parse(native { @native.session(id) }))

    # A page of sessions. The options are +state+ (+open+ or +closed+), +limit+ and +offset+.
    def sessions(**query) = Page.parse(native { @native.sessions(Request.fields("query", query)) }, "sessions")

    # Changes a session and gives its record.
    def update_session(id, **changes)
      patch = Request.fields("session", changes)
      Record.parse(@bridge.call { |token| @native.update_session(token, id, patch) })
    end

    # Closes a session and gives its record.
    def close_session(id) = Record.parse(@bridge.call { |token| @native.close_session(token, id) })

    # Submits a task, and returns when it is durable. Session 0 always exists. The options have the names of the REST
    # API; a chat goes into +messages+, and fields for the miner alone go into +extra+.
    def submit(prompt = nil, session_id: 0, **options)
      request = Request.of(prompt, options, stream: true)
      task = @bridge.call { |token| @native.submit(token, session_id, request) }
      Task.new(task, @bridge, owned: !options[:detach])
    end

    # Submits a task and waits for its answer. Whoever is interrupted while it waits cancels the task.
    def complete(prompt = nil, session_id: 0, **options)
      request = Request.of(prompt, options, stream: false)
      Completion.parse(@bridge.call(cancels: true) { |token| @native.complete(token, session_id, request) })
    end

    # Gives the vectors of a text, or of several, in their order.
    def embed(input, session_id: 0, **options)
      request = Request.embedding(input, options)
      Embeddings.parse(@bridge.call(cancels: true) { |token| @native.embed(token, session_id, request) })
    end

    # A task's record.
    def task(session_id, task_id) = Record.parse(@bridge.call { |token| @native.task(token, session_id, task_id) })

    # A page of a session's tasks, oldest first inside it: the newest page, or from +offset+ on. The options are
    # +state+, +key+, +limit+, +offset+ and +order+.
    def tasks(session_id = 0, **query)
      Page.parse(@bridge.call { |token| @native.tasks(token, session_id, Request.fields("query", query)) }, "tasks")
    end

    # Cancels a task, waits until that is durable, and gives its record.
    def cancel(session_id, task_id) = Record.parse(@bridge.call { |token| @native.cancel(token, session_id, task_id) })

    # Joins a task, running or ended.
    def attach(session_id, task_id)
      Task.new(@bridge.call { |token| @native.attach(token, session_id, task_id) }, @bridge, owned: false)
    end

    # Starts the HTTP listener; the settings are those of the configuration's +listen+. With a block, the listener stops
    # at its end.
    #
    #   router.listen(port: 0) { |listener| ... }
    def listen(config = nil, **settings)
      config = (config || {}).merge(settings) unless config.is_a?(String) && settings.empty?
      config = nil if config.is_a?(Hash) && config.empty?
      text = Request.settings("listen", config)
      listener = Listener.new(@bridge.call { |token| @native.listen(token, text) }, @bridge)
      return listener unless block_given?

      begin
        yield listener
      ensure
        listener.stop
      end
    end

    # The REST API as a Rack application. +config+ is as for +listen+.
    def rack(config = nil)
      text = Request.settings("listen", config)
      RackApp.new(@bridge.call { |token| @native.http_handler(token, text) }, @bridge)
    end

    # Takes no new tasks and waits until the present ones have ended. false: not all did within +timeout+ seconds.
    def drain(timeout) = @bridge.call { |token| @native.drain(token, Bridge.milliseconds(timeout)) }

    def inspect = "#<#{self.class.name} #{open? ? "open" : "closed"}>"
  end
end
