# frozen_string_literal: true

module CortensorRouter
  # The version of the product.
  VERSION = "0.1.0"
end
