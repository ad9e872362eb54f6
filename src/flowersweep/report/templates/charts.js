// Draws every chart of the page into its element, and adds height for the legend below it on narrow screens.
(function () {
  "use strict";
  var NARROW = 640, ENTRY = 24;
  function legendEntries(data) {
    return data.filter(function (trace) {
      return trace.showlegend !== false && trace.type !== "parcoords" && trace.name;
    }).length;
  }
  function room(width, data) {
    var entries = legendEntries(data);
    if (entries < 2) { return 0; }
    return ENTRY * Math.ceil(entries / (width < NARROW ? 1.5 : 4)) + 16;
  }
  // A finger sees no scroll bar: say so above everything that is wider than its box.
  function hint(box) {
    var text = document.createElement("p");
    text.className = "hint";
    text.textContent = "Scroll sideways to see all of it \u2192";
    box.parentNode.insertBefore(text, box);
    function update() { text.hidden = box.scrollWidth <= box.clientWidth + 1; }
    window.addEventListener("resize", update);
    update();
  }
  document.querySelectorAll("script[data-chart]").forEach(function (source) {
    var place = document.getElementById(source.dataset.chart);
    var figure = JSON.parse(source.textContent);
    var height = figure.layout.height;
    function fitted() {
      var extra = room(place.clientWidth, figure.data);
      return { height: height + extra, "margin.b": (figure.layout.margin.b || 60) + extra };
    }
    var fit = fitted();
    var layout = Object.assign({}, figure.layout, { height: fit.height, autosize: true });
    layout.margin = Object.assign({}, figure.layout.margin, { b: fit["margin.b"] });
    // Dragging a finger over a chart must scroll the page.
    if (place.clientWidth < NARROW) { layout.dragmode = false; }
    Plotly.newPlot(place, figure.data, layout, { responsive: true, displaylogo: false });
    var width = place.clientWidth;
    window.addEventListener("resize", function () {
      if (place.clientWidth === width) { return; }
      width = place.clientWidth;
      Plotly.relayout(place, fitted());
    });
  });
  document.querySelectorAll(".scroll").forEach(hint);
})();
