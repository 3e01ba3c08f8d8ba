// A developer's first day: log in, make an environment, watch it start, work in its editor, restart it, find everything again;
// and a colleague who looks where they may not. Prints nothing; the result is a file, and the pictures are a folder.
import { readFileSync } from "node:fs";
import { Editor, PATIENCE, Person, open, tell } from "./person.mjs";

const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));
const browser = await open(settings);
const found = { findings: {}, seconds: {} };

async function makeEnvironment(alice) {
  const { page } = alice;
  await page.click("text=Make the first one");
  await page.fill("#name", settings.server);
  await page.check("input[name=editor]");
  await page.check("input[name=docker]");
  await page.locator("details summary").click();
  await page.fill("#image", settings.image);
  await page.fill("#role", settings.role);
  found.findings.create = await alice.findings();
  await alice.picture("create");
  await page.click("button:has-text('Create')");
  await page.waitForURL((to) => to.pathname.endsWith(`/${settings.server}`));
  await alice.picture("starts");
}

async function waitUntilRunning(alice) {
  const state = alice.page.locator("#head .state:has-text('Running'), #head .state.bad").first();
  await state.waitFor({ timeout: 2 * PATIENCE });
  if (!(await state.innerText()).includes("Running")) throw new Error(await alice.page.locator("#head").innerText());
  await alice.page.locator("#head a:has-text('Open editor')").waitFor();
}

async function work(alice) {
  const before = Date.now();
  const editor = await Editor.openFrom(alice, alice.page.locator("#head a:has-text('Open editor')"));
  found.seconds.editor = (Date.now() - before) / 1000;
  found.editor = new URL(editor.page.url()).origin;
  await alice.picture("editor", editor.page);
  await editor.terminal();
  await editor.type(settings.commands);
  await alice.picture("terminal", editor.page);
  // Before the file: the editor stores a setting a moment after it shows it, and the restart must not come between.
  await editor.command("Preferences: Toggle between Light/Dark Themes");
  await editor.page.waitForSelector(".monaco-workbench.vs-dark");
  await editor.write(settings.file, settings.text);
  await alice.picture("file", editor.page);
  // The terminal's lines have been written when their last one has.
  const done = Date.now() + 2 * PATIENCE;
  while (!(await visible(alice, editor))) {
    if (Date.now() > done) throw new Error("the commands in the terminal did not end");
    await new Promise((next) => setTimeout(next, 500));
  }
  await alice.picture("commands", editor.page);
  found.cookiesOfEditor = await editor.page.evaluate(() => document.cookie);
  found.readsConsole = await editor.page.evaluate(
    (url) => fetch(url, { credentials: "include" }).then((answer) => answer.text(), (error) => `refused: ${error.name}`),
    `${settings.console}/`,
  );
  return editor;
}

/** Whether the status bar of a file that the last command makes can be opened: the explorer shows it. */
async function visible(alice, editor) {
  return editor.page.locator(`.explorer-folders-view .monaco-list-row[aria-label*="${settings.done}"]`).count();
}

async function restart(alice, editor) {
  await alice.page.bringToFront();
  await alice.page.click("#actions button:has-text('Restart')");
  // It may be over before the page has told of it; that the pod is another one is looked at afterwards.
  await alice.page.locator("#head .state:not(:has-text('Running'))").waitFor({ timeout: 10_000 }).catch(() => {});
  await alice.picture("restarts");
  await waitUntilRunning(alice);
  await editor.page.goto(`${found.editor}/`);
  await editor.ready();
  await editor.page.waitForSelector(".monaco-workbench.vs-dark");
  found.themeKept = true;
  await alice.picture("editor-again", editor.page);
}

async function strangerLooks() {
  const bob = await new Person(browser, settings, "bob").sit();
  await bob.logIn();
  found.bobSees = await bob.page.locator("main").innerText();
  await bob.picture("own-list");
  const answer = await bob.page.goto(`${found.editor}/`);
  found.bobAtEditor = answer.status();
  await bob.picture("editor-of-alice");
  const page = await bob.page.goto(`${settings.console}/environments/${settings.namespace}/${settings.server}`);
  found.bobAtPage = page.status();
}

/** What her environment costs: the page is there as soon as the operator's ledger knows of it, and it is written once a minute. */
async function costs(alice) {
  const end = Date.now() + 2 * PATIENCE;
  for (;;) {
    await alice.page.goto(`${settings.console}/usage`);
    if (await alice.page.locator(`main th:has-text('${settings.namespace}/${settings.server}')`).count()) break;
    if (Date.now() > end) throw new Error(await alice.page.locator("main").innerText());
    await new Promise((next) => setTimeout(next, 2000));
  }
  await alice.page.locator("#days summary").click();
  found.findings.usage = await alice.findings();
  await alice.picture("usage");
}

/** A second environment, deleted and brought back. */
async function trash(alice) {
  const { page } = alice;
  const name = `${settings.server}-2`;
  await page.goto(`${settings.console}/new`);
  await page.fill("#name", name);
  await page.click("button:has-text('Create')");
  await page.waitForURL((to) => to.pathname.endsWith(`/${name}`));
  await waitUntilRunning(alice);
  await page.goto(`${page.url()}/delete`);
  await page.fill("#confirm", name);
  await alice.picture("delete");
  await page.click("main button:has-text('Delete')");
  const back = page.locator("main button:has-text('Bring back')");
  const end = Date.now() + 2 * PATIENCE;
  while (!(await back.count())) {
    if (Date.now() > end) throw new Error(await page.locator("main").innerText());
    await new Promise((next) => setTimeout(next, 1000));
    await page.goto(`${settings.console}/trash`);
  }
  found.findings.trash = await alice.findings();
  await alice.picture("trash");
  await back.click();
  await page.waitForURL((to) => to.pathname.endsWith(`/${name}`));
  found.broughtBack = await page.locator("main h1").innerText();
}

async function phone(alice) {
  const state = await alice.context.storageState();
  const mobile = await new Person(browser, settings, "alice-phone").sit({
    viewport: { width: 390, height: 844 }, colorScheme: "dark", javaScriptEnabled: false, storageState: state,
  });
  await mobile.page.goto(settings.console);
  await mobile.picture("list-dark-without-script");
  const isWide = () => mobile.page.locator("body").evaluate((body) => body.scrollWidth > 390);
  found.phoneScrollsSideways = await isWide();
  await mobile.page.goto(`${settings.console}/usage`);
  await mobile.picture("usage-dark-without-script");
  found.phoneScrollsSideways ||= await isWide();
}

try {
  const alice = await new Person(browser, settings, "alice").sit();
  await alice.logIn();
  found.findings.empty = await alice.findings();
  await alice.picture("empty");
  await makeEnvironment(alice);
  const started = Date.now();
  await waitUntilRunning(alice);
  found.seconds.running = (Date.now() - started) / 1000;
  found.findings.environment = await alice.findings();
  await alice.picture("running");
  const editor = await work(alice);
  await restart(alice, editor);
  await alice.page.goto(settings.console);
  found.findings.list = await alice.findings();
  await alice.picture("list");
  await alice.page.goto(`${settings.console}/flavors`);
  found.findings.flavors = await alice.findings();
  await alice.picture("flavors");
  await costs(alice);
  await trash(alice);
  await phone(alice);
  await strangerLooks();
  found.ended = true;
} catch (error) {
  found.error = String(error.stack ?? error);
  for (const [number, page] of browser.contexts().flatMap((c) => c.pages()).entries()) {
    await page.screenshot({ path: `${settings.pictures}/error-${number}.png` }).catch(() => {});
  }
} finally {
  tell(settings, found);
  await browser.close();
}
