// Edits a profile in the main database itself, past all caches: node elsewhere.ts <user> <name|mail> <value> [database]
const [id, field, value, database = 'http://127.0.0.1:8788'] = process.argv.slice(2);
if (value === undefined) {
  console.error('Usage: node examples/cache-sync/elsewhere.ts <user> <name|mail> <value> [address of the database]');
  process.exit(1);
}
const response = await fetch(`${database}/profiles/${encodeURIComponent(id ?? '')}/edit`, {
  method: 'POST',
  body: JSON.stringify({ field, value }),
});
console.log(response.status, await response.text());
process.exitCode = response.ok ? 0 : 1;
