// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import java.awt.Color;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.CategorySeries.CategorySeriesRenderStyle;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.style.Styler.LegendPosition;

/** How the throughput of one lock changes with the number of processes that want it. */
final class Plot {
    private Plot() {}

    /**
     * Writes an SVG with a line for Java and one for C.
     *
     * @param file where, in a folder that is created if there is none
     * @param byProcesses what was measured, by the number of processes; the first reference is C
     */
    static void write(Path file, Map<Integer, Comparison> byProcesses) throws IOException {
        CategoryChart chart =
                new CategoryChartBuilder()
                        .width(800)
                        .height(500)
                        .title("One lock that several processes want all the time")
                        .xAxisTitle("processes, on the cores by turns")
                        .yAxisTitle("lock + unlock of all of them, millions a second")
                        .build();
        chart.getStyler()
                .setDefaultSeriesRenderStyle(CategorySeriesRenderStyle.Line)
                .setOverlapped(true)
                .setYAxisMin(0.0)
                .setLegendPosition(LegendPosition.InsideNE)
                .setChartBackgroundColor(Color.WHITE);
        List<Integer> processes = new ArrayList<>(byProcesses.keySet());
        chart.addSeries("Java", processes, millions(byProcesses, 0));
        chart.addSeries("C", processes, millions(byProcesses, 1));
        Files.createDirectories(file.toAbsolutePath().getParent());
        ChartEncoder.saveChart(chart, file.toString(), "svg");
    }

    private static List<Double> millions(Map<Integer, Comparison> byProcesses, int column) {
        return byProcesses.values().stream().map(each -> 1000 / each.median(column)).toList();
    }
}
