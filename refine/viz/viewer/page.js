// The page of a result: before and after on the photo, the bodies in 3D, and what is known of each person.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  let chosen = 0;

  // The photo.
  const compare = document.querySelector(".compare");
  const slider = byId("slider");
  slider.addEventListener("input", () => compare.style.setProperty("--at", `${slider.value}%`));

  // People.
  function element(name, text, attributes = {}) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function signed(value) {
    const text = value.toFixed(1);
    return Number(text) === 0 ? "0.0" : (value > 0 ? "+" : "") + text;
  }

  function choose(number) {
    chosen = number;
    [...byId("people").children].forEach((one, place) => one.setAttribute("aria-pressed", String(place === number)));
    const person = data.people[number], shown = byId("person");
    shown.replaceChildren(element("p", person.verdict, { class: person.accepted ? "good" : "bad" }));
    const facts = element("dl");
    for (const [name, value] of person.facts) facts.append(element("dt", name), element("dd", value));
    shown.append(facts);
    if (person.moved.length) {
      const box = element("div", undefined, { class: "wide", tabindex: "0", role: "region", "aria-label": "Which evidence turned which joint" });
      const table = element("table");
      table.append(element("caption", "Degrees by which each kind of evidence turned the joints that turned most"));
      const head = element("tr");
      ["joint", "turned", ...person.terms].forEach((name) => head.append(element("th", name, { scope: "col" })));
      table.append(head);
      for (const [joint, turned, parts] of person.moved) {
        const row = element("tr");
        row.append(element("th", joint, { scope: "row" }), element("td", turned.toFixed(1)));
        parts.forEach((part) => row.append(element("td", signed(part))));
        table.append(row);
      }
      box.append(table);
      shown.append(box);
    }
    if (space) space.choose(number);
  }

  // 3D.
  function bytes(text) {
    const raw = atob(text), made = new Uint8Array(raw.length);
    for (let place = 0; place < raw.length; place++) made[place] = raw.charCodeAt(place);
    return made.buffer;
  }

  function openSpace() {
    const canvas = byId("space"), T = THREE;
    const renderer = new T.WebGLRenderer({ canvas, antialias: true, alpha: true });
    renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    const scene = new T.Scene(), camera = new T.PerspectiveCamera(40, 1, 0.05, 200);
    const sun = new T.DirectionalLight(0xffffff, 1.5);
    sun.position.set(1, 2, 3);
    scene.add(new T.HemisphereLight(0xffffff, 0x999999, 2.2), sun);
    const controls = new T.OrbitControls(camera, canvas);
    const people = data.people.map(() => ({ after: null, before: null, sigma: new T.Group() }));
    const middle = new T.Vector3();

    function draw() {
      const { clientWidth: width, clientHeight: height } = canvas;
      if (canvas.width !== Math.round(width * renderer.getPixelRatio()) || canvas.height !== Math.round(height * renderer.getPixelRatio())) {
        renderer.setSize(width, height, false);
        camera.aspect = width / height;
        camera.updateProjectionMatrix();
      }
      renderer.render(scene, camera);
    }

    function home() {  // where the photo's camera stood, seeing as much as it saw
      camera.position.set(0, 0, 0);
      const aspect = canvas.clientWidth / canvas.clientHeight;
      const tall = 2 * Math.atan(Math.tan(data.camera.yfov / 2) * Math.max(1, data.camera.aspect / aspect));
      camera.fov = Math.min(120, tall * 180 / Math.PI);
      camera.updateProjectionMatrix();
      controls.target.set(0, 0, -middle.length());
      controls.update();
      draw();
    }

    function show() {
      people.forEach((one, number) => {
        if (one.before) one.before.visible = byId("estimate").checked;
        one.sigma.visible = byId("sigma").checked;
        if (one.after) {
          one.after.material.transparent = byId("sigma").checked;
          one.after.material.opacity = byId("sigma").checked ? 0.35 : 1;
          one.after.material.depthWrite = !byId("sigma").checked;  // or the skin hides what is within
          one.after.material.emissive.setHex(number === chosen && people.length > 1 ? 0x1a1a1a : 0x000000);
        }
      });
      draw();
    }

    function addSigma(number) {
      const { joints, sigma } = data.people[number];
      const ball = new T.SphereGeometry(1, 16, 12), colour = new T.MeshBasicMaterial({ color: 0x0b5cad, transparent: true, opacity: 0.6 });
      joints.forEach((place, joint) => {
        const size = sigma[joint];
        if (!place || !size) return;
        const made = new T.Mesh(ball, colour);
        made.position.set(...place);
        made.scale.set(...size);
        people[number].sigma.add(made);
      });
      scene.add(people[number].sigma);
    }

    const loader = new T.GLTFLoader();
    loader.parseAsync(bytes(data.glb), "").then((gltf) => {
      scene.add(gltf.scene);
      gltf.scene.traverse((node) => {
        if (!node.isSkinnedMesh) return;
        node.frustumCulled = false;
        const [, number, when] = node.name.match(/^person_(\d+)(_before)?/) || [];
        if (!number) return;
        node.material = node.material.clone();
        people[number - 1][when ? "before" : "after"] = node;
        if (when) {
          node.material.wireframe = true;
          node.material.transparent = true;
          node.material.opacity = 0.35;
          node.material.color.setHex(0xc2410c);
        }
      });
      const box = new T.Box3();
      data.people.forEach((person) => person.joints.forEach((place) => place && box.expandByPoint(new T.Vector3(...place))));
      if (!box.isEmpty()) box.getCenter(middle);
      data.people.forEach((_, number) => addSigma(number));
      home();
      show();
      byId("space-words").textContent = "";
      canvas.dataset.ready = "yes";
    }).catch((error) => { byId("space-words").textContent = `The bodies cannot be shown: ${error.message}`; });

    controls.addEventListener("change", draw);
    byId("estimate").addEventListener("change", show);
    byId("sigma").addEventListener("change", show);
    byId("home").addEventListener("click", home);
    new ResizeObserver(draw).observe(canvas);
    canvas.addEventListener("keydown", (event) => {
      const turns = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
      const away = camera.position.clone().sub(controls.target);
      if (turns[event.key]) {
        const [around, over] = turns[event.key];
        away.applyAxisAngle(new T.Vector3(0, 1, 0), -around);
        const side = new T.Vector3().crossVectors(new T.Vector3(0, 1, 0), away).normalize();
        const turned = away.clone().applyAxisAngle(side, over);
        if (Math.abs(turned.clone().normalize().y) < 0.98) away.copy(turned);
      } else if (event.key === "+" || event.key === "=") away.multiplyScalar(0.9);
      else if (event.key === "-") away.multiplyScalar(1 / 0.9);
      else return;
      event.preventDefault();
      camera.position.copy(controls.target).add(away);
      controls.update();
      draw();
    });
    return { choose: show };
  }

  let space = null;
  try {
    if (data.glb) space = openSpace();
    else byId("space-words").textContent = "Nobody here can be drawn.";
  } catch (error) {
    byId("space-words").textContent = "This browser shows no 3D (WebGL).";
  }
  data.people.forEach((person, number) => {
    const button = element("button", person.name, { type: "button", "aria-pressed": "false" });
    button.addEventListener("click", () => choose(number));
    byId("people").append(button);
  });
  if (data.people.length) choose(0);
})();
