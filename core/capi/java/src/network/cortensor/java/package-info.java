/**
 * A router for AI inference that lives inside your program: you submit tasks to sessions, and miners (inference workers)
 * do the work. {@link network.cortensor.java.Router} is where to begin.
 */
package network.cortensor.java;
