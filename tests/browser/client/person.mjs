// A person at a browser: what people do on the pages, each with a deadline and a picture.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const PATIENCE = 90_000;

/** A browser that finds the console at `address`, and trusts the one key of its certificate. */
export async function open(settings) {
  return chromium.launch({
    executablePath: settings.chromium,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      `--host-resolver-rules=MAP *.devserver.test ${settings.address}`,
      `--ignore-certificate-errors-spki-list=${settings.certificate}`,
      ...(settings.arguments ?? []),
    ],
  });
}

export class Person {
  constructor(browser, settings, name) {
    Object.assign(this, { browser, settings, name, pictures: 0 });
    mkdirSync(settings.pictures, { recursive: true });
  }

  /** Sits down: an own profile, without cookies. */
  async sit(options = {}) {
    this.context = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    this.context.setDefaultTimeout(PATIENCE);
    this.page = await this.context.newPage();
    return this;
  }

  async picture(what, page = this.page) {
    this.pictures += 1;
    const number = String(this.pictures).padStart(2, "0");
    await page.screenshot({ path: join(this.settings.pictures, `${this.name}-${number}-${what}.png`), fullPage: page === this.page });
  }

  /** Logs in at the provider, wherever the console has sent us. */
  async logIn(url = this.settings.console) {
    await this.page.goto(url);
    await this.page.waitForSelector("#login");
    await this.picture("login");
    await this.page.fill("#login", `${this.name}@example.com`);
    await this.page.fill("#password", this.settings.password);
    await Promise.all([this.page.waitForURL((to) => to.origin === this.settings.console), this.page.click("#submit-login")]);
  }

  /** What a screen reader would stumble over; nothing is expected. */
  async findings(page = this.page) {
    // By evaluation, which the page's policy for scripts does not count.
    await page.evaluate(axe);
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    return found.violations.map((v) => `${v.id}: ${v.help} (${v.nodes.map((n) => n.target.join(" ")).join(", ")})`);
  }
}

/** An editor in a tab. */
export class Editor {
  constructor(person, page) {
    Object.assign(this, { person, page });
  }

  static async openFrom(person, link) {
    const [page] = await Promise.all([person.context.waitForEvent("page"), link.click()]);
    const editor = new Editor(person, page);
    await editor.ready();
    return editor;
  }

  async ready() {
    await this.page.waitForSelector(".monaco-workbench", { timeout: PATIENCE });
    await this.page.waitForSelector(".monaco-workbench .part.statusbar .statusbar-item", { timeout: PATIENCE });
  }

  /** A command of the editor, by its name in the palette. */
  async command(name) {
    await this.page.keyboard.press("F1");
    const input = this.page.locator(".quick-input-widget input.input, .quick-input-widget input[type=text]").first();
    await input.waitFor();
    await input.fill(`>${name}`);
    // By its whole name, with or without a key: the first of the list is the best guess, and may be another.
    const row = this.page.locator(`.quick-input-list .monaco-list-row:is([aria-label="${name}"], [aria-label^="${name},"])`);
    await row.first().click();
  }

  async terminal() {
    await this.command("Terminal: Create New Terminal");
    await this.page.waitForSelector(".terminal-wrapper.active .xterm-helper-textarea", { state: "attached" });
    await this.page.locator(".terminal-wrapper.active .xterm-screen").click();
  }

  async type(line) {
    await this.page.keyboard.type(line, { delay: 4 });
    await this.page.keyboard.press("Enter");
  }

  /** Makes a file by hand, as one does: new file, text, save as. */
  async write(path, text) {
    await this.command("File: New Untitled Text File");
    const pane = this.page.locator(".editor-instance .view-lines").last();
    await pane.waitFor();
    await pane.click();
    await this.page.keyboard.type(text, { delay: 4 });
    await this.command("File: Save");
    const input = this.page.locator(".quick-input-widget input.input, .quick-input-widget input[type=text]").first();
    await input.waitFor();
    // The dialog proposes a name when it has read the folder, over whatever has been typed before.
    const list = this.page.locator(".quick-input-widget .quick-input-list .monaco-list-row").first();
    await list.waitFor();
    const end = Date.now() + PATIENCE;
    for (let kept = 0; kept < 3; kept += 1) {
      if ((await input.inputValue()) !== path) {
        if (Date.now() > end) throw new Error(`the dialog does not take ${path}`);
        await input.fill(path);
        kept = 0;
      }
      await this.page.waitForTimeout(200);
    }
    await this.page.keyboard.press("Enter");
    await this.page.waitForSelector(`.tab[data-resource-name="${path.split("/").pop()}"]:not(.dirty)`);
  }
}

export function tell(settings, found) {
  writeFileSync(settings.result, JSON.stringify(found, null, 2));
}
