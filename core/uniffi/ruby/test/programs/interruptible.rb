# frozen_string_literal: true

# Ctrl-C reaches a program although the shell of the tests has it ignored, as a shell does for what runs behind it.
trap("INT", "DEFAULT")
