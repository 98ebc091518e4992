// Validates files as PDF/A-2a with veraPDF; ends with 1 and the rules that are broken.

import java.io.FileInputStream;
import java.util.TreeMap;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.PDFAValidator;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;
import org.verapdf.pdfa.results.ValidationResult;

final class Validate {
    public static void main(String[] files) throws Exception {
        Logger.getLogger("").setLevel(Level.WARNING);
        VeraGreenfieldFoundryProvider.initialise();
        PDFAFlavour flavour = PDFAFlavour.PDFA_2_A;
        boolean compliant = files.length > 0;
        for (String file : files) {
            try (PDFAParser parser = Foundries.defaultInstance().createParser(new FileInputStream(file), flavour);
                    PDFAValidator validator = Foundries.defaultInstance().createValidator(flavour, false)) {
                ValidationResult result = validator.validate(parser);
                System.out.printf("%s %s (%d checks)%n", result.isCompliant() ? "ok  " : "FAIL",
                        file, result.getTotalAssertions());
                compliant &= result.isCompliant() && result.getTotalAssertions() > 0;
                TreeMap<String, String> broken = new TreeMap<>();
                for (TestAssertion each : result.getTestAssertions()) {
                    if (each.getStatus() != TestAssertion.Status.PASSED) {
                        String where = each.getLocation() == null ? "" : each.getLocation().getContext();
                        broken.putIfAbsent(each.getRuleId().getClause() + "-" + each.getRuleId().getTestNumber(),
                                each.getMessage() + " at " + where);
                    }
                }
                broken.forEach((rule, why) -> System.out.println("     " + rule + " " + why));
            }
        }
        System.exit(compliant ? 0 : 1);
    }
}
