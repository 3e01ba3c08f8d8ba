// How long an editor takes from the click to being usable: through the console and reached directly, in turn, each time with
// an empty cache. Logged in before, as people are.
import { readFileSync } from "node:fs";
import { Editor, Person, open, tell } from "./person.mjs";

const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));
const browser = await open(settings);
const found = { direct: [], console: [] };

/** Seconds until the editor at `url` is usable, in a new profile. */
async function measure(url, storageState) {
  const person = await new Person(browser, settings, "figures").sit({ storageState });
  const before = performance.now();
  await person.page.goto(url, { waitUntil: "commit" });
  await new Editor(person, person.page).ready();
  const seconds = (performance.now() - before) / 1000;
  await person.context.close();
  return seconds;
}

try {
  const alice = await new Person(browser, settings, "alice").sit();
  await alice.logIn();
  const loggedIn = await alice.context.storageState();
  // Not counted: the first one reads the editor's files from the disk.
  await measure(settings.direct);
  await measure(settings.through, loggedIn);
  for (let round = 0; round < settings.rounds; round += 1) {
    found.direct.push(await measure(settings.direct));
    found.console.push(await measure(settings.through, loggedIn));
  }
  found.ended = true;
} catch (error) {
  found.error = String(error.stack ?? error);
} finally {
  tell(settings, found);
  await browser.close();
}
