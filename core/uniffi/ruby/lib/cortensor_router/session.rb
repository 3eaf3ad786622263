# frozen_string_literal: true

module CortensorRouter
  # A session, to which tasks are submitted.
  class Session
    # The record as this object last read or changed it.
    attr_reader :record

    def initialize(router, record)
      @router = router
      @record = record
    end

    # The session's id.
    def id = @record.id

    # The session's name.
    def name = @record.name

    # Reads the record anew.
    def refresh = @record = @router.session(id).record

    # Submits a task, and returns when it is durable.
    def submit(prompt = nil, **options) = @router.submit(prompt, session_id: id, **options)

    # Submits a task and waits for its answer.
    def complete(prompt = nil, **options) = @router.complete(prompt, session_id: id, **options)

    # Gives the vectors of a text, or of several, in their order.
    def embed(input, **options) = @router.embed(input, session_id: id, **options)

    # Changes the given fields.
    def update(**changes) = @record = @router.update_session(id, **changes)

    # Closes the session: it takes no new tasks, and running ones end.
    def close = @record = @router.close_session(id)

    # The record of one of the session's tasks.
    def task(task_id) = @router.task(id, task_id)

    # A page of the session's tasks, oldest first inside it: the newest page, or from +offset+ on.
    def tasks(**query) = @router.tasks(id, **query)

    # Joins one of the session's tasks, running or ended.
    def attach(task_id) = @router.attach(id, task_id)

    # Cancels one of the session's tasks.
    def cancel(task_id) = @router.cancel(id, task_id)

    def inspect = "#<#{self.class.name} #{id} #{name.inspect}>"
  end
end
