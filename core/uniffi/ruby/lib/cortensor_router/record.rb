# frozen_string_literal: true

module CortensorRouter
  # A record of the router, with the names of the REST API: +record.status+ or +record[:status]+.
  class Record
    # Makes a record of JSON text.
    def self.parse(text) = new(JSON.parse(text))

    def initialize(fields)
      @fields = fields
    end

    # A field by its name; nil if there is none.
    def [](name) = Record.wrap(@fields[name.to_s])

    # Whether the record has that field.
    def key?(name) = @fields.key?(name.to_s)

    # The fields as a hash with texts for names.
    def to_h = @fields

    def to_json(*arguments) = @fields.to_json(*arguments)

    def ==(other) = other.is_a?(Record) && to_h == other.to_h
    alias eql? ==

    def hash = @fields.hash

    # For +in { status: "completed" }+.
    def deconstruct_keys(keys)
      (keys || @fields.keys).to_h { |name| [name.to_sym, self[name]] }.select { |name, _| key?(name) }
    end

    def inspect = "#<#{self.class.name} #{@fields.inspect}>"

    # The record as JSON, for +puts+.
    def to_s = @fields.to_json

    def respond_to_missing?(name, include_private = false) = @fields.key?(name.to_s) || super

    def method_missing(name, *arguments)
      return super unless arguments.empty? && @fields.key?(name.to_s)

      self[name]
    end

    # Values of a record: objects are records, too.
    def self.wrap(value)
      case value
      when Hash then Record.new(value)
      when Array then value.map { |one| wrap(one) }
      else value
      end
    end
  end

  # A page of records.
  class Page
    include Enumerable

    # How many records there are beside this page, too.
    attr_reader :count

    def initialize(records, count)
      @records = records
      @count = count
    end

    def self.parse(text, name)
      given = JSON.parse(text)
      new(given[name].map { |fields| Record.new(fields) }, given["count"])
    end

    def each(&block)
      return enum_for(:each) { @records.size } unless block

      @records.each(&block)
      self
    end

    # A record by its place on the page.
    def [](index) = @records[index]

    # The number of records on this page.
    def size = @records.size

    def empty? = @records.empty?

    def inspect = "#<#{self.class.name} #{size} of #{count}>"
  end
end
