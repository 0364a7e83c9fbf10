import Tunnels

/// Colour on a terminal, nothing in a pipe.
struct Style: Hashable, Sendable {
    var isColoured: Bool

    enum Colour: String {
        case red = "31"
        case green = "32"
        case yellow = "33"
        case dim = "2"
        case bold = "1"
    }

    func paint(_ text: String, _ colour: Colour?) -> String {
        guard isColoured, let colour, !text.isEmpty else { return text }
        return "\u{1b}[\(colour.rawValue)m\(text)\u{1b}[0m"
    }
}

extension TunnelStatus.State {
    var colour: Style.Colour {
        switch self {
        case .online: .green
        case .degraded, .connecting: .yellow
        case .offline: .red
        case .disabled: .dim
        }
    }
}

/// Cells with a colour, in columns as wide as their content.
struct Table {
    struct Cell: ExpressibleByStringLiteral {
        var text: String
        var colour: Style.Colour?

        init(_ text: String, _ colour: Style.Colour? = nil) {
            self.text = text
            self.colour = colour
        }

        init(stringLiteral text: String) { self.init(text) }
    }

    struct Column {
        var title: String
        var isRight = false
        /// Columns with a low rank go first when the terminal is narrow; nil stays.
        var rank: Int?
    }

    var columns: [Column]
    /// A row of cells, or a line of its own below one.
    var rows: [[Cell]] = []

    /// The head and the rows as lines, in at most `width` columns where that can be.
    func lines(width: Int?, style: Style) -> (head: String, rows: [String]) {
        var shown = Array(columns.indices)
        var widths = columns.indices.map { column in
            rows.reduce(columns[column].title.count) { max($0, column < $1.count ? $1[column].text.count : 0) }
        }
        func total() -> Int { shown.reduce(0) { $0 + widths[$1] } + 2 * max(0, shown.count - 1) }
        if let width {
            while total() > width,
                let drop = shown.filter({ columns[$0].rank != nil }).min(by: {
                    columns[$0].rank ?? 0 < columns[$1].rank ?? 0
                })
            {
                shown.removeAll { $0 == drop }
            }
            // Still too wide: what stays is cut, the widest first.
            while total() > width, let widest = shown.max(by: { widths[$0] < widths[$1] }), widths[widest] > 8 {
                widths[widest] -= 1
            }
        }
        func line(_ cells: [Cell]) -> String {
            var line = ""
            for (place, column) in shown.enumerated() {
                let cell = column < cells.count ? cells[column] : ""
                let text = cell.text.cut(to: widths[column])
                let space = String(repeating: " ", count: widths[column] - text.count)
                let isLast = place == shown.count - 1
                line += place == 0 ? "" : "  "
                line +=
                    columns[column].isRight
                    ? space + style.paint(text, cell.colour)
                    : style.paint(text, cell.colour) + (isLast ? "" : space)
            }
            while line.last == " " { line.removeLast() }
            return line
        }
        return (line(columns.map { Cell($0.title, .dim) }), rows.map(line))
    }
}

extension String {
    /// At most `width` characters, the last one an ellipsis where something was cut.
    func cut(to width: Int) -> String {
        count <= width ? self : width < 1 ? "" : String(prefix(width - 1)) + "…"
    }

    /// Control characters made visible, so that a peer's words cannot move the cursor.
    var printable: String {
        guard unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return self }
        return unicodeScalars.reduce(into: "") { text, scalar in
            text += scalar.properties.generalCategory == .control ? "?" : String(scalar)
        }
    }

    /// Lines of at most `width` characters, broken between words, the later ones indented by two more blanks.
    func wrapped(indent: Int, width: Int?) -> [String] {
        let margin = String(repeating: " ", count: indent)
        guard let width else { return [margin + self] }
        var lines: [String] = []
        var line = margin
        var isFresh = true
        for word in split(separator: " ") {
            if !isFresh, line.count + 1 + word.count > width {
                lines.append(line)
                line = margin + "  "
                isFresh = true
            }
            line += (isFresh ? "" : " ") + word
            isFresh = false
        }
        return lines + [line]
    }
}
