package network.cortensor.java.tests;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.Test;

/** Plays the scenarios of core/tests/conformance. */
public class ConformanceTest {
    /** With fewer scenarios, some are missing. */
    private static final int LEAST = 72;

    /**
     * The members of the scenarios that are no methods of the options, or take another type: a program that gives one does
     * not compile, so Java cannot play these steps. All but the last expect a refusal.
     */
    private static final Set<String> UNCOMPILABLE =
            new TreeSet<>(List.of("colour", "grammar", "max_token", "name", "page", "temprature", "redundant"));

    @Test
    public void everyScenarioHolds() throws Exception {
        List<String> faults = new ArrayList<>();
        Set<String> uncompilable = new TreeSet<>();
        int count = 0;
        List<Path> files;
        try (var listed = Files.list(Path.of(System.getProperty("cortensor.conformance")))) {
            files = listed.filter(path -> path.toString().endsWith(".json")).sorted().toList();
        }
        for (Path file : files) {
            for (JsonElement scenario : Scenario.read(Files.readString(file))) {
                count++;
                String fault = play(scenario.getAsJsonObject(), uncompilable);
                if (fault != null) {
                    faults.add(file.getFileName() + ": " + scenario.getAsJsonObject().get("name") + "\n  " + fault);
                }
            }
        }
        assertTrue(String.join("\n", faults), faults.isEmpty());
        assertTrue("only " + count + " scenarios were found", count >= LEAST);
        assertEquals(UNCOMPILABLE, uncompilable);
        System.out.println("conformance: " + count + " scenarios were played from Java");
    }

    private static String play(JsonObject given, Set<String> uncompilable) throws Exception {
        try (Scenario scenario = new Scenario(given, uncompilable)) {
            for (JsonElement step : given.getAsJsonArray("steps")) {
                String wrong = scenario.perform(scenario.resolved(step).getAsJsonObject());
                if (wrong != null) {
                    return step + "\n    " + wrong;
                }
                if (step.toString().contains("maxNumOfNodes")) {
                    // The other steps stand on this one.
                    return null;
                }
            }
        }
        return null;
    }
}
