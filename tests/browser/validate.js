// Prints what Khronos' validator says of the files named: {path: {errors, warnings, messages}}.
const fs = require("fs");
const validator = require("gltf-validator");

(async () => {
  const said = {};
  for (const path of process.argv.slice(2)) {
    const { issues } = await validator.validateBytes(new Uint8Array(fs.readFileSync(path)));
    said[path] = { errors: issues.numErrors, warnings: issues.numWarnings, messages: issues.messages };
  }
  console.log(JSON.stringify(said));
})();
