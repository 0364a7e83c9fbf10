internal import Foundation
internal import Testing

extension Browser {
    /// Looks at the page that is open as people do, on a desk, on a phone, in the dark and zoomed in, and records what is
    /// wrong with it for someone who cannot see well or uses no mouse (WCAG 2.2 AA, as far as a program can tell).
    ///
    /// Where GATEHOUSE_SCREENSHOTS names a folder, a picture of each look is left in there.
    func examine(_ page: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let folder = ProcessInfo.processInfo.environment["GATEHOUSE_SCREENSHOTS"] ?? lab.file("pictures")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for look in Look.all {
            try await self.look(look)
            let faults: [String] = try await evaluate(Self.examination)
            #expect(faults == [], "\(page), \(look.name)", sourceLocation: sourceLocation)
            let picture = try await picture()
            #expect(picture.count > 1000, "\(page), \(look.name): the picture is empty", sourceLocation: sourceLocation)
            try picture.write(to: URL(fileURLWithPath: "\(folder)/\(page)-\(look.name).png"))
        }
        try await followFocus(page, sourceLocation)
    }

    /// Goes through the page with the Tab key.
    private func followFocus(_ page: String, _ sourceLocation: SourceLocation) async throws {
        let controls: [String] = try await evaluate(
            "return [...document.querySelectorAll('a, button, input:not([type=hidden])')].map(each => each.innerText.trim())")
        var reached: [String] = []
        for _ in controls {
            try await press(.tab)
            reached.append(try await focused())
            for look in [Look.desktopDark, .desktop] {
                try await self.look(look)
                let contrast: Double = try await evaluate(
                    Self.contrast + "return outlineContrast(document.activeElement)")
                #expect(
                    contrast >= 3, "\(page), \(look.name): the focus on '\(reached.last ?? "")' is hard to see",
                    sourceLocation: sourceLocation)
            }
        }
        #expect(reached == controls, "\(page): the Tab key takes another order", sourceLocation: sourceLocation)
    }

    /// Colours as people see them (WCAG 2.2, relative luminance and contrast ratio).
    private static let contrast = """
        const parse = text => {
            const [red, green, blue, alpha = 1] = text.match(/[0-9.]+/g).map(Number)
            return { red, green, blue, alpha }
        }
        const over = (top, bottom) => {
            const mix = name => top[name] * top.alpha + bottom[name] * (1 - top.alpha)
            return { red: mix("red"), green: mix("green"), blue: mix("blue"), alpha: 1 }
        }
        const luminance = colour => {
            const part = value => {
                value /= 255
                return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
            }
            return 0.2126 * part(colour.red) + 0.7152 * part(colour.green) + 0.0722 * part(colour.blue)
        }
        const ratio = (one, other) => {
            const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b)
            return (light + 0.05) / (dark + 0.05)
        }
        const background = element => {
            const own = parse(getComputedStyle(element).backgroundColor)
            if (own.alpha === 1) return own
            return over(own, element.parentElement ? background(element.parentElement) : parse("rgb(255, 255, 255)"))
        }
        const outlineContrast = element => {
            const style = getComputedStyle(element)
            if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) return 1
            return ratio(parse(style.outlineColor), background(element.parentElement))
        }

        """

    private static let examination =
        contrast + """
            const faults = []
            const root = document.documentElement
            if (!root.lang) faults.push("it does not say in which language it is")
            if (!document.title.trim()) faults.push("it has no title")
            for (const name of ["h1", "main"]) {
                const count = document.querySelectorAll(name).length
                if (count !== 1) faults.push(`it has ${count} of ${name}`)
            }
            if (root.scrollWidth > root.clientWidth) faults.push(`it is ${root.scrollWidth} wide, the window ${root.clientWidth}`)
            for (const control of document.querySelectorAll("a, button, input:not([type=hidden])")) {
                const label = control.labels && control.labels[0]
                const name = (label || control).innerText.trim() || control.ariaLabel
                if (!name) faults.push(`a ${control.localName} has no name`)
                if (control.tabIndex !== 0) faults.push(`'${name}' has a place of its own for the Tab key`)
                const height = control.getBoundingClientRect().height
                if (height < 44) faults.push(`'${name}' is ${height} high, too little for a finger`)
            }
            for (const picture of document.querySelectorAll("img, svg")) {
                if (picture.ariaHidden !== "true" && !picture.alt && !picture.ariaLabel) faults.push("a picture has no words")
            }
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
            while (walker.nextNode()) {
                const words = walker.currentNode.textContent.trim()
                if (!words) continue
                const element = walker.currentNode.parentElement
                const style = getComputedStyle(element)
                const size = parseFloat(style.fontSize)
                if (size < 12) faults.push(`'${words}' is ${size} high`)
                const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700)
                const behind = background(element)
                const seen = ratio(over(parse(style.color), behind), behind)
                if (seen < (isLarge ? 3 : 4.5)) faults.push(`'${words}' has a contrast of ${seen.toFixed(2)}`)
            }
            return faults
            """
}
