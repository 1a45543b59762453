// Looks at a dashboard as its users do, and prints what was seen as JSON.
import { chromium } from "playwright-core";
import { readFileSync } from "node:fs";

const [url, pictures] = process.argv.slice(2);
const seen = { errors: [], requests: [], rates: [] };
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("console", (line) => line.type() === "error" && seen.errors.push(line.text()));
  page.on("request", (request) => seen.requests.push(request.url()));
  await page.goto(url);
  // The second look of the server: from then on there are differences.
  await page.waitForFunction(() => document.querySelector("[data-chart=handlers] path")?.getAttribute("d"));
  return page;
}

const page = await open({ viewport: { width: 1200, height: 900 }, colorScheme: "light" });
const rate = () => page.textContent("[data-now=rate]").then((words) => Number(words.replace(/,/g, "")));
await page.click("summary");
await page.waitForFunction(() => document.querySelectorAll("tbody tr").length > 0);
seen.rates.push(await rate());
const before = await page.getAttribute("[data-chart=handlers] path", "d");
await page.waitForFunction((d) => document.querySelector("[data-chart=handlers] path").getAttribute("d") !== d, before);
seen.rates.push(await rate());
seen.line = await page.getAttribute("[data-chart=rate] path", "d");
seen.race = await page.textContent(".race");
seen.cells = await page.locator(".cells .cell").count();
seen.log = await page.locator("#log li").count();
seen.says = await page.textContent("tbody tr td:last-child");
seen.hacked = await page.evaluate(() => window.hacked ?? null);
await page.screenshot({ path: `${pictures}/light.png` });

const dark = await open({ viewport: { width: 1200, height: 900 }, colorScheme: "dark" });
await dark.screenshot({ path: `${pictures}/dark.png` });
await dark.keyboard.press("Tab");
seen.focused = await dark.evaluate(() => document.activeElement.textContent);
const phone = await open({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 });
seen.overflow = await phone.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
await phone.screenshot({ path: `${pictures}/phone.png`, fullPage: true });

// The judge is a script of somebody else, which the page's own rules would refuse.
const axe = readFileSync("node_modules/axe-core/axe.min.js", "utf8");
seen.axe = [];
for (const colorScheme of ["light", "dark"]) {
  const judged = await open({ colorScheme, bypassCSP: true });
  await judged.evaluate(axe);
  const found = await judged.evaluate(() => window.axe.run());
  const serious = found.violations.filter((it) => ["serious", "critical"].includes(it.impact));
  seen.axe.push(...serious.map((it) => `${colorScheme}: ${it.id}: ${it.nodes.map((node) => node.html).join(" ")}`));
}
await browser.close();
console.log(JSON.stringify(seen));
